"""Where a call goes and what the cache there should hold: index and pools, as requests see them.

A place is an endpoint ("model@host"), or one replica of it ("model@host#url").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from router.catalog import Candidate
from router.errors import ConnectionFailedError, ProviderError
from router.prompts.blocks import Chain
from router.prompts.held import Expectation
from router.prompts.prefix import PrefixIndex
from router.prompts.rule import CacheRule
from router.selfhost import Load
from router.transports.vllm import Choice, Pool, Ticket, keys_of, place_of, trouble_of
from router.types import Request, Usage

DRAINED = "all its replicas are drained"


@dataclass(frozen=True, slots=True)
class Pick:
    """Where one attempt goes: the cache's `place`, and what was expected of it.

    `base_url` is the replica's, None where the candidate's host is no pool; `own` says that it
    runs on one's own machines. Addresses may hold a password, and are not shown.
    """

    place: str = field(repr=False)
    rule: CacheRule
    chain: Chain
    salt: str
    expected: Expectation
    base_url: str | None = field(default=None, repr=False)
    pool: Pool | None = None
    own: bool = False


class Visit:
    """An attempt that is under way at its pick."""

    __slots__ = ("pick", "ticket")

    def __init__(self, pick: Pick, ticket: Ticket | None) -> None:
        self.pick, self.ticket = pick, ticket


class Places:
    """Expectations before a call, corrections after it. Thread-safe; a recording has no cache.

    `pools` are the replicas of hosts, by host; `touch` is called whenever one of them is used,
    `load` told what they served.
    """

    def __init__(
        self,
        index: PrefixIndex,
        pools: Mapping[str, Pool] | None = None,
        touch: Callable[[], object] = lambda: None,
        load: Load | None = None,
    ) -> None:
        self.index = index
        self.pools = dict(pools or {})
        self._touch, self._load = touch, load

    def input_tokens(self, candidate: Candidate, chain: Chain) -> int:
        """A prompt's tokens: ours where that is its vocabulary, else as its answers showed."""
        if candidate.kind == "replay" or candidate.tokenizer:
            return chain.tokens
        pool, endpoint = self.pools.get(candidate.host), candidate.endpoint
        places = [endpoint] if pool is None else [place_of(endpoint, url) for url in pool.urls]
        tokens = round(chain.tokens * self.index.scale(places))
        # An estimate refuses nothing: the host does, if it must.
        return tokens if tokens < candidate.context_tokens else chain.tokens

    def drained(self, candidate: Candidate) -> bool:
        """Whether the application took all replicas of a candidate's host out of service."""
        pool = self.pools.get(candidate.host)
        return pool is not None and pool.drained

    def expected(self, candidate: Candidate, request: Request, chain: Chain, now: datetime) -> int:
        """Tokens that a candidate is expected to read from its cache: where it would go now."""
        if candidate.kind == "replay":
            return 0
        try:
            return self.pick(candidate, request, chain, now).expected.tokens
        except ConnectionFailedError:
            return 0

    def pick(
        self,
        candidate: Candidate,
        request: Request,
        chain: Chain,
        now: datetime,
        avoid: Collection[str] = frozenset(),
    ) -> Pick:
        """Where an attempt goes now; to none of the addresses to `avoid`, if there are others."""
        rule, salt = candidate.cache, salt_of(candidate.cache, request)
        mine = candidate.self_hosted
        pool = self.pools.get(candidate.host)
        if pool is not None:
            seen: dict[str, Pick] = {}

            def expected(url: str) -> int:
                place, own = place_of(candidate.endpoint, url), pool.rule(url, rule)
                found = self.index.look(place, own, chain, now, salt)
                seen[url] = Pick(place, own, chain, salt, found, url, pool, mine)
                return found.held

            choice = self._choice(pool, candidate, request, chain, salt, expected, avoid)
            if choice is None:
                raise ConnectionFailedError(DRAINED, candidate=candidate.name, billable=False)
            return seen[choice.url]
        place = candidate.endpoint
        found = self.index.look(place, rule, chain, now, salt)
        return Pick(place, rule, chain, salt, found, own=mine)

    def _choice(
        self,
        pool: Pool,
        candidate: Candidate,
        request: Request,
        chain: Chain,
        salt: str,
        expected: Callable[[str], int],
        avoid: Collection[str],
    ) -> Choice | None:
        self._touch()
        return pool.choose(
            chain,
            salt,
            self.input_tokens(candidate, chain),
            expected,
            keys=_Keys(request),
            model=candidate.model_id,
            avoid=avoid,
        )

    def begin(
        self, pick: Pick, now: datetime, *, input_tokens: int, stream: bool, lasts: float
    ) -> Visit:
        """The call is on its way; after `lasts` seconds it is over, even if nobody says so."""
        self.index.sent(pick.place, pick.rule, pick.chain, now, pick.salt)
        if pick.pool is None or pick.base_url is None:
            return Visit(pick, None)
        held = pick.expected.held
        pool = pick.pool
        ticket = pool.begin(pick.base_url, input_tokens, held, stream=stream, lasts=lasts)
        return Visit(pick, ticket)

    def first_token(self, visit: Visit) -> None:
        """The first token of a stream has come."""
        if visit.ticket is not None and visit.pick.pool is not None:
            visit.pick.pool.first_token(visit.ticket)

    def failed(self, visit: Visit, error: BaseException | None = None) -> None:
        """The call failed, or (None) was never made, or nobody waits for it. Idempotent."""
        pick = visit.pick
        if error is None or (isinstance(error, ProviderError) and not error.billable):
            self.index.failed(pick.place, pick.rule, pick.chain, pick.salt)
        if visit.ticket is not None and visit.pick.pool is not None:
            after = error.retry_after if isinstance(error, ProviderError) else None
            trouble = "" if error is None else trouble_of(error)
            visit.pick.pool.failed(visit.ticket, trouble, retry_after=after)

    def elsewhere(
        self, candidate: Candidate, error: ProviderError, avoid: Collection[str]
    ) -> bool:
        """Whether another replica may serve at once what one of those to `avoid` could not."""
        pool = self.pools.get(candidate.host)
        if pool is None or not trouble_of(error):
            return False
        if error.billable and not candidate.self_hosted:
            return False  # it may have been charged
        return pool.elsewhere(candidate.model_id, avoid)

    def answered(
        self, visit: Visit, usage: Usage, now: datetime, *, told: bool, whole: Chain | None
    ) -> None:
        """The call was answered: `told`, whether the host said what it read from its cache.

        `whole` is the prompt with its answer, None where that is not known or of no use.
        """
        pick = visit.pick
        if self._load is not None and pick.own:
            self._load.served(
                pick.place.partition("#")[0],
                now,
                input_tokens=usage.input_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                output_tokens=usage.output_tokens,
            )
        read = usage.cache_read_tokens if told else None
        if visit.ticket is not None and pick.pool is not None:
            pick.pool.end(visit.ticket, cache_read_tokens=read, output_tokens=usage.output_tokens)
        self.index.answered(
            pick.place,
            pick.rule,
            pick.chain,
            now,
            pick.salt,
            input_tokens=0 if usage.estimated else usage.input_tokens,
            cache_read_tokens=read,
            expected=pick.expected,
            whole=whole,
            output_tokens=usage.output_tokens,
        )


class _Keys(Sequence[bytes]):
    """What names a request's conversation, worked out when it is asked for: seldom, and dear."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._found: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        if not self._found:
            self._found = keys_of(self._request.messages, self._request.tools)
        return self._found[index]


def salt_of(rule: CacheRule, request: Request) -> str:
    """What keeps this request's cache apart from others', "" for nothing."""
    found = [f"{name}={request.extra[name]}" for name in rule.salts if request.extra.get(name)]
    return "\n".join(found)
