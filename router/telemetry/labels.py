"""The labels of a client's metrics, bounded together: what is counted stays right by candidate.

A metric multiplies its sets of labels, `centroute.tokens` by five kinds. So at most `SETS` sets
of candidate, policy and tags have series of their own. Of those that come later the tags are
"other", then the policy, then all: sums by candidate hold, those by tag are too low from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from router.catalog import Candidate
from router.ledgers.entries import Record
from router.telemetry import names
from router.telemetry.guard import shared

SETS: Final = 240
"""Sets of candidate, policy and tags that are told apart."""
_WITHOUT_TAGS, _BY_CANDIDATE = 80, 78
"""Sets beyond them, still by candidate and policy, and by candidate. All of them and the last,
"other" throughout, make 399: times five kinds of tokens 1,995, below the 2,000 of an SDK."""
_FAILURES: Final = 1000
"""Sets of the labels of a call with how it failed; beyond, `error.type` is "other"."""
_REFUSALS, _BY_BUDGET, _BY_ERROR = 1500, 400, 80
"""Sets of the labels of refusals, then still by budget and error, and by error: 1,981 in all."""
_CACHE = "cache"
"""The policy of answers out of the response cache: they are no attempts, and take no room."""


class Labels:
    """What one client's calls and refusals are labelled by; the bounds are those of the process.

    `metric_tags` are the request tags that are labels, empty where a request has no such tag.
    """

    def __init__(self, metric_tags: Sequence[str] = ()) -> None:
        self._tags = {tag: f"{names.TAG}{tag}" for tag in metric_tags}
        self._guard = shared()
        tagged = tuple(self._tags.values())
        self._calls = (
            ((), SETS),
            (tagged, _WITHOUT_TAGS),
            ((names.POLICY,), _BY_CANDIDATE),
        )
        self._refusals = (
            ((), _REFUSALS),
            (tagged, _BY_BUDGET),
            ((names.BUDGET, names.BUDGET_UNIT), _BY_ERROR),
        )
        self._known: dict[str, dict[str, str]] = {}

    def known(self, candidate: Candidate) -> dict[str, str]:
        """The labels that say who is called; they are remembered for `served`."""
        found = {
            names.PROVIDER: candidate.provider,
            names.REQUEST_MODEL: candidate.model_id,
            names.CANDIDATE: candidate.name,
        }
        self._known[candidate.name] = found
        return found

    def call(self, candidate: Candidate, policy: str, tags: Mapping[str, str]) -> dict[str, str]:
        """The labels of a call."""
        return self._whole(self.known(candidate), policy, tags)

    def served(self, candidate: str, policy: str, tags: Mapping[str, str]) -> dict[str, str]:
        """The same of a request that the candidate of this name served."""
        called = self._known.get(candidate)
        if called is None:  # nobody listened when it was called
            host = candidate.rpartition("@")[2]
            called = {names.PROVIDER: host, names.REQUEST_MODEL: "", names.CANDIDATE: candidate}
        return self._whole(called, policy, tags)

    def late(self, record: Record, candidate: Candidate | None) -> dict[str, str]:
        """The labels of the call that a late line is of; None: it is not in the catalogue.

        A slab is no call: its labels are empty, but for the policy.
        """
        if candidate is not None:
            called = self.known(candidate)
        else:
            provider, model = record.host, record.model
            called = {names.PROVIDER: provider, names.REQUEST_MODEL: model}
            called[names.CANDIDATE] = record.candidate
        return self._whole(called, record.policy, record.tags)

    def shown(self, tags: Mapping[str, str]) -> int:
        """How many of these tags are labels."""
        return sum(tag in self._tags for tag in tags)

    def refusal(
        self, error: str, tags: Mapping[str, str], budget: str = "", unit: str = ""
    ) -> dict[str, str]:
        """The labels of a refusal; `error` is the type, `budget` as the gauges have it."""
        by = {names.BUDGET: budget, names.BUDGET_UNIT: unit}
        found = {names.ERROR_TYPE: error, **by, **self._tagged(tags)}
        return self._guard.fit("refusals", found, self._refusals, known=by)

    def failed(self, labels: Mapping[str, str], outcome: str) -> dict[str, str]:
        """The labels of a call that failed, with how."""
        steps = ((), _FAILURES), ((names.ERROR_TYPE,), 2 * SETS)
        return self._guard.fit("failures", {**labels, names.ERROR_TYPE: outcome}, steps)

    def _whole(
        self, called: Mapping[str, str], policy: str, tags: Mapping[str, str]
    ) -> dict[str, str]:
        found = {**called, names.POLICY: policy, **self._tagged(tags)}
        group = "answers kept" if policy == _CACHE else "calls"
        return {names.OPERATION: "chat", **self._guard.fit(group, found, self._calls)}

    def _tagged(self, tags: Mapping[str, str]) -> dict[str, str]:
        return {label: tags.get(tag, "") for tag, label in self._tags.items()}
