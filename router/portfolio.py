"""Which candidates a client may choose from: configured, served, and meant by a name."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from router.budgets import Budget
from router.budgets.scopes import CANDIDATE_SCOPES
from router.catalog import Candidate, Catalog
from router.catalog.missing import NEVER_LIVE
from router.catalog.names import nearest
from router.errors import (
    ConfigError,
    InvalidBudgetError,
    InvalidRequestError,
    MissingKeyError,
    NoCandidateError,
    UnknownHostError,
    UnknownModelError,
)
from router.transports.access import Access, missing_key
from router.transports.discovery import SELF_HOSTED, Served, ask, overlay_for

_log = logging.getLogger("router")

_FEW = 20
"""Names that an error lists in full."""
_LONGEST_NAME = 256
"""Characters of a model's name: of a longer one, a prompt in the wrong place, nothing is shown."""


class Portfolio:
    """A catalogue seen through one client's keys, hosts and names.

    `hosts` and `names` narrow what "auto" stands for: candidates at these hosts, or these only.

    Raises:
        UnknownHostError: a host that is not in the catalogue, or is there only for its prices.
        ConfigError: no host or name at all, where some were to be given.
    """

    def __init__(
        self,
        catalog: Catalog,
        access: Access,
        *,
        hosts: tuple[str, ...] | None,
        names: tuple[str, ...] | None,
        at: datetime,
    ) -> None:
        self.catalog = catalog
        self._access = access
        self._hosts = hosts
        self._names = names
        self._served: dict[str, Served] = {}
        self._reachable: dict[str, bool] = {}
        for setting, given in (("hosts", hosts), ("candidates", names)):
            if given is not None and not given:
                raise ConfigError(
                    f"{setting}: expected at least one, got none; leave it out for all there are"
                )
        for host in (*(hosts or ()), *access.keys, *access.base_urls):
            self._check_called(host, at)

    def discover(self) -> None:
        """Ask the self-hosted servers that are configured which models they serve."""
        for name, host in self.catalog.hosts.items():
            wanted = self._hosts is None or name in self._hosts
            if host.kind not in SELF_HOSTED or not wanted or self._access.missing(name, host):
                continue
            self._take(name, ask(name, host, self._access))

    def ask_again(self) -> dict[str, Served]:
        """Ask those that did not answer; what they say now is not taken in yet (`found`)."""
        missing = [name for name, served in self._served.items() if served.problem]
        return {name: ask(name, self.catalog.hosts[name], self._access) for name in missing}

    def found(self, again: Mapping[str, Served]) -> bool:
        """Take in what `ask_again` found; whether any of them serves now."""
        now = {name: served for name, served in again.items() if not served.problem}
        for name, served in now.items():
            self._take(name, served)
        return bool(now)

    @property
    def silent(self) -> bool:
        """Whether one's own server has not answered yet."""
        return any(served.problem for served in self._served.values())

    def _take(self, name: str, served: Served) -> None:
        self._served[name] = served
        rows = overlay_for(name, served.models, self.catalog)
        if rows["endpoint"]:
            self.catalog = self.catalog.overlay(rows)
        if not served.problem:
            self._tell_of_strays(name)

    def _tell_of_strays(self, host: str) -> None:
        """Log the prices at this host that are nobody's: their endpoints may be misspelt."""
        known = [endpoint.name for endpoint in self.catalog.endpoints if endpoint.host == host]
        priced = (entry.row.endpoint for entry in self.catalog.entries if entry.table == "rate")
        here = {name for name in priced if name.rpartition("@")[2] == host}
        for name in sorted(here - set(known)):
            _log.warning(
                "the catalogue has a rate of %s, which its server does not list; its endpoints "
                "are %s",
                name,
                ", ".join(known) or "none",
            )

    @property
    def served(self) -> Mapping[str, Served]:
        """What the self-hosted hosts answered to `discover`, by host."""
        return self._served

    def configured(self, models: Sequence[str], at: datetime) -> Sequence[Candidate]:
        """The candidates that these names stand for and that can be called.

        Raises:
            UnknownModelError, RetiredModelError, UnknownHostError: by name.
            MissingKeyError: known, but no host of it is configured.
            NoCandidateError: one's own server does not answer, or serves something else.
        """
        found: dict[str, Candidate] = {}
        for name in self._expanded(models):
            for candidate in self._auto(at) if name == "auto" else self._named(name, at):
                found[candidate.name] = candidate
        return tuple(found.values())

    def known(self, models: Sequence[str], at: datetime) -> Sequence[Candidate]:
        """The same for planning: whatever the catalogue knows, configured or not."""
        found: dict[str, Candidate] = {}
        for name in self._expanded(models):
            if name == "auto" and self._hosts is None:
                chosen = self._auto(at)
            elif name == "auto":
                chosen = self.catalog.candidates(at=at, hosts=self._hosts)
            else:
                chosen = self.catalog.find(name, at=at)
            found.update({c.name: c for c in chosen})
        return tuple(found.values())

    def _expanded(self, models: Sequence[str]) -> list[str]:
        """The names, with "auto" replaced by those that the client was given for it."""
        own = self._names or ("auto",)
        found = [n for name in models for n in (own if name == "auto" else (name,))]
        for name in found:
            if not isinstance(name, str):
                raise InvalidRequestError(
                    f"model: expected a name, or 'auto', got {type(name).__name__}", param="model"
                )
            if len(name) > _LONGEST_NAME:
                raise UnknownModelError(
                    "expected a model, alias or candidate of the catalogue, got a text of "
                    f"{len(name):,} characters"
                )
        return found

    def _auto(self, at: datetime) -> Sequence[Candidate]:
        if self._hosts is not None:
            chosen = self.catalog.candidates(at=at, hosts=self._hosts)
            for candidate in chosen:
                if variable := self._access.missing(candidate.host, candidate):
                    raise missing_key(candidate.host, variable)
            return [c for c in chosen if self._is_served(c)]
        live = [c for c in self.catalog.candidates(at=at) if self._usable(c)]
        if live:
            return live
        if problems := {name: s.problem for name, s in self._served.items() if s.problem}:
            raise NoCandidateError("your own server cannot be used:", reasons=problems)
        for host in (*self._access.keys, *self._access.base_urls):
            # Who names a host does not mean recordings.
            if variable := self._access.missing(host, self.catalog.hosts[host]):
                raise missing_key(host, variable)
        return self.catalog.candidates(at=at, hosts=["replay"])

    def _named(self, name: str, at: datetime) -> Sequence[Candidate]:
        found = self.catalog.find(name, at=at)
        usable = [c for c in found if self._usable(c)] or self._recorded(name, at)
        if not usable:
            raise self._unusable(name, found)
        return usable

    def _recorded(self, name: str, at: datetime) -> list[Candidate]:
        """The recording of a model that no configured host serves."""
        if "@" in name or not (self._hosts is None or "replay" in self._hosts):
            return []
        try:
            return list(self.catalog.find(f"{name}@replay", at=at))
        except UnknownModelError:
            return []

    def _unusable(
        self, name: str, found: Sequence[Candidate]
    ) -> MissingKeyError | NoCandidateError:
        allowed = [c for c in found if self._hosts is None or c.host in self._hosts]
        if not allowed:
            return NoCandidateError(
                f"{name!r} is not served by the hosts of this client: "
                f"{', '.join(self._hosts or ())}",
                reasons={c.name: "its host was not among hosts=" for c in found},
            )
        first = allowed[0]
        wanted = {c.host: self._access.missing(c.host, c) for c in allowed}
        if variable := wanted[first.host]:
            return missing_key(first.host, variable, {h: v for h, v in wanted.items() if v})
        served = self._served.get(first.host)
        why = served and (served.problem or f"serves {', '.join(served.models)}")
        return NoCandidateError(
            f"{first.host} does not serve {name!r}", reasons={first.name: why} if why else None
        )

    def check_scopes(self, budgets: Iterable[Budget]) -> None:
        """Refuse budgets of a model, mode, host or candidate that nothing is called.

        What one's own servers serve is not known yet: where one is configured, any model may be.

        Raises:
            InvalidBudgetError: which budget, and what was meant, as far as that can be said.
        """
        if not any(CANDIDATE_SCOPES & budget.scope.keys() for budget in budgets):
            return
        hosts, models = self.catalog.hosts, self.catalog.models
        called = [
            e for e in self.catalog.endpoints if (e.kind or hosts[e.host].kind) not in NEVER_LIVE
        ]
        known: dict[str, set[str]] = {
            "host": {name for name, host in hosts.items() if host.kind not in NEVER_LIVE},
            "mode": {"chat", "thinking"},
        }
        known["host"] |= {e.host for e in called}
        if not any(self._asked(name) for name in hosts):
            known["model"] = {e.model for e in called}
            known["candidate"] = {e.name for e in called}
            for e in called:
                if "thinking" in (e.modes or models[e.model].modes):
                    known["candidate"].add(f"{e.model}:thinking@{e.host}")
        for budget in budgets:
            for name in CANDIDATE_SCOPES & budget.scope.keys() & known.keys():
                wanted = budget.scope[name]
                if wanted != "*" and wanted not in known[name]:
                    raise InvalidBudgetError(
                        f"the budget of {budget.name} would never hold: expected a {name} that "
                        f"can be called, {_meant(wanted, known[name])}; got {wanted!r}"
                    )

    def _asked(self, name: str) -> bool:
        """Whether a host is one's own server, or engine, and configured."""
        host = self.catalog.hosts[name]
        own = host.kind in SELF_HOSTED or host.kind == "engine"
        return own and not self._access.missing(name, host)

    def _check_called(self, host: str, at: datetime) -> None:
        """Refuse a host that nothing calls: its key or name would change nothing, unnoticed."""
        if self.catalog.candidates(at=at, hosts=[host]):  # raises UnknownHostError
            return
        hosts = self.catalog.hosts
        kinds = {e.kind or hosts[host].kind for e in self.catalog.endpoints if e.host == host}
        if not (kinds or {hosts[host].kind}) <= NEVER_LIVE:
            return
        listed = ", ".join(sorted(h.name for h in hosts.values() if h.kind not in NEVER_LIVE))
        raise UnknownHostError(
            f"host {host!r} is in the catalogue only for its prices, to compare with; requests "
            f"cannot be sent to it. Name one of {listed}; or, where it speaks OpenAI's protocol, "
            "give it a [[host]] row with base_url and api_key_env in an overlay "
            "(Client(catalog=...))"
        )

    def _usable(self, candidate: Candidate) -> bool:
        allowed = self._hosts is None or candidate.host in self._hosts
        return allowed and self._is_reachable(candidate) and self._is_served(candidate)

    def _is_reachable(self, candidate: Candidate) -> bool:
        # Keys and addresses are read once per host: a client does not change under way.
        known = self._reachable.get(candidate.host)
        if known is None:
            known = self._access.missing(candidate.host, candidate) is None
            self._reachable[candidate.host] = known
        return known

    def _is_served(self, candidate: Candidate) -> bool:
        served = self._served.get(candidate.host)
        return served is None or candidate.model_id in served.models


def _meant(wanted: str, known: Collection[str]) -> str:
    """The names that may have been meant: those that are alike, or all if they are few."""
    if near := nearest(wanted, sorted(known)):
        return f"perhaps {' or '.join(near)}"
    few = len(known) <= _FEW
    return f"one of {', '.join(sorted(known))}" if few else "as `centroute catalog` lists them"
