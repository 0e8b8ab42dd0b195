"""Many requests against each other: what their caches could hold, and what keeps them from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import median_low

from router.errors import InvalidRequestError
from router.prompts._lint.routes import Routes
from router.prompts._lint.tips import Tip, Tips, kept_since, nearest
from router.prompts._lint.view import Sent, View
from router.prompts.blocks import chain_of
from router.prompts.causes import FIXES
from router.prompts.lint import explain
from router.prompts.prefix import PrefixIndex
from router.prompts.rule import CacheRule

_CONVERSATIONS = 64
_BYTES = 256 << 20
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request out of a file: its line (from 1), and the route it is of, "" where none is given.

    `input_tokens` and `cache_read_tokens` are what the host reported, None where it did not.
    """

    sent: Sent
    line: int
    route: str = ""
    input_tokens: int | None = None
    cache_read_tokens: int | None = None


@dataclass(slots=True, kw_only=True)
class Loss:
    """What one cause costs one route: requests, tokens by model, where, from which token on."""

    route: str
    cause: str
    requests: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    firsts: list[int] = field(default_factory=list)
    shown: str = ""

    @property
    def lost_tokens(self) -> int:
        """Tokens of all its requests that a cache could have held."""
        return self.tokens.total()

    @property
    def place(self) -> str:
        """Where it mostly is."""
        return self.places.most_common(1)[0][0]

    @property
    def first_token(self) -> int:
        """Index of the first token that differs, the median of its requests."""
        return median_low(self.firsts)

    @property
    def fix(self) -> str:
        """What to do."""
        return FIXES[self.cause]


@dataclass(slots=True, kw_only=True)
class Survey:
    """What was found. Tokens are ours; `as_sent_tokens` could be read from caches that keep all
    their rules allow, `restructured_tokens` with every fix made; `reported` is (input, cached) by
    the hosts' count, None where no request has it. `first` and `last` are None without times.
    """

    requests: int = 0
    input_tokens: int = 0
    as_sent_tokens: int = 0
    restructured_tokens: int = 0
    losses: list[Loss] = field(default_factory=list)
    routes: Counter[str] = field(default_factory=Counter)
    reported: tuple[int, int] | None = None
    first: datetime | None = None
    last: datetime | None = None


def survey(
    asked: Iterable[Asked],
    rule_of: Callable[[Sent], CacheRule],
    *,
    show: bool = False,
    on_done: Callable[[int, int], None] | None = None,
) -> Survey:
    """Compare each request with those before it. In the order of time if all have one, else as
    they come, each then taken to find what those before it left. `on_done` is told after each how
    many are done, of how many.

    Raises:
        InvalidRequestError: messages or tools that no template could express; names the line.
    """
    found = Survey()
    every = _in_order(asked, found)
    index = PrefixIndex(max_bytes=_BYTES)
    routes, tips = Routes(), dict[str, Tips]()
    losses: dict[tuple[str, str], Loss] = {}
    timed = found.first is not None
    for number, one in enumerate(every):
        rule = rule_of(one.sent)
        if not timed:
            rule = replace(rule, builds_seconds=0.0, lives_seconds=None)
        tip = _tip(one)
        view = tip.view
        route = one.route or routes.of(view)
        found.routes[route] += 1
        kept = _cached(index, tip, rule, _BEGINNING + timedelta(seconds=number))
        near = tips.setdefault(route, Tips(_CONVERSATIONS))
        earlier, same = nearest(near.all, tip)
        lost = 0
        for finding in () if earlier is None else explain(
            earlier.view, view, rule, kept=kept, since=earlier.since, show=show
        ):  # fmt: skip
            loss = losses.setdefault(
                (route, finding.cause), Loss(route=route, cause=finding.cause, shown=finding.shown)
            )
            loss.requests += 1
            loss.tokens[_name(one.sent)] += finding.lost_tokens
            loss.places[finding.place] += 1
            loss.firsts.append(finding.token)
            lost += finding.lost_tokens
        since = kept_since(earlier, one.sent.at, rule)
        near.add(replace(tip, since=since), earlier if same else None)
        found.requests += 1
        found.input_tokens += len(view.ids)
        found.as_sent_tokens += kept
        found.restructured_tokens += kept + lost
        _report(found, one)
        if on_done is not None:
            on_done(found.requests, len(every))
    found.losses = sorted(losses.values(), key=lambda loss: (-loss.lost_tokens, loss.route))
    return found


def _tip(one: Asked) -> Tip:
    view = View(one.sent)
    try:
        return Tip(view, chain_of(view.ids))
    except InvalidRequestError as error:
        raise InvalidRequestError(f"line {one.line}: {error}", param=error.param) from None


def _in_order(asked: Iterable[Asked], found: Survey) -> Sequence[Asked]:
    """The requests by time; `found` learns the first and the last, if all have one."""
    every = list(asked)
    times = [one.sent.at for one in every if one.sent.at is not None]
    if not times or len(times) < len(every):
        return [replace(one, sent=replace(one.sent, at=None)) for one in every]
    found.first, found.last = min(times), max(times)
    return sorted(every, key=lambda one: one.sent.at or _BEGINNING)


def _cached(index: PrefixIndex, tip: Tip, rule: CacheRule, untimed: datetime) -> int:
    """Tokens that the best of caches would hold of a prompt, which is put there then."""
    sent, chain = tip.view.sent, tip.chain
    place, at = f"{sent.model}@{sent.host}", sent.at or untimed
    kept = index.expected(place, rule, chain, at, sent.salt)
    index.sent(place, rule, chain, at, sent.salt)
    index.answered(
        place, rule, chain, at, sent.salt, input_tokens=chain.tokens, cache_read_tokens=None
    )
    return kept


def _report(found: Survey, one: Asked) -> None:
    if one.input_tokens is not None:
        before = found.reported or (0, 0)
        found.reported = (
            before[0] + one.input_tokens,
            before[1] + (one.cache_read_tokens or 0),
        )


def _name(sent: Sent) -> str:
    return f"{sent.model}@{sent.host}" if sent.host else sent.model
