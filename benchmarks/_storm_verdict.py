"""The ledger's account of a storm held against the provider's books, call by call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router.ledgers import Entry
from router.money import format_usd

_LEFT = frozenset({"closed", "cancelled"})
"""How a call ended whose caller went away."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a storm left behind; amounts in pico-dollars.

    A call is `exact` where every line of it is the host's own count or a release, and `assumed`
    where one was counted by us or expired. `short` are assumed calls that the provider bills
    dearer than the ledger does, by how much; `left_short` those of them whose callers left a
    stream, which are charged what came of it. `unknown` are served calls that the ledger does not
    know, and `slabs` what lost slabs are charged, which must cover them.
    """

    limit: int
    spent: int
    billed: int
    peak: int
    open: int
    exact: int
    exact_ledger: int
    exact_billed: int
    wrong: tuple[str, ...]
    assumed: int
    assumed_ledger: int
    assumed_billed: int
    short: Mapping[str, int]
    left: int
    left_short: Mapping[str, int]
    unknown: Mapping[str, int]
    slabs: int
    kinds: Mapping[str, int]
    served: int

    @property
    def over(self) -> int:
        """Pico-dollars over the limit: by the ledger at any time, or by the provider's bill."""
        return max(0, max(self.spent, self.peak, self.billed) - self.limit)

    @property
    def faults(self) -> list[str]:
        """The targets that were missed, in words."""
        checks = {
            f"{format_usd(self.over)} over the limit": self.over,
            f"{self.open} pico-dollars left open after the sweep": self.open,
            f"settled calls with another cost than the provider's: {self.wrong[:5]}": self.wrong,
            f"{len(self.unknown)} served calls that the ledger neither knows nor covers": (
                sum(self.unknown.values()) > self.slabs
            ),
            f"{len(self.short)} assumed calls charged less than the provider's bill, such as "
            f"{list(self.short.items())[:3]}": self.short,
            self.shortfall: self.left_short,
        }
        return [what for what, missed in checks.items() if missed]

    @property
    def shortfall(self) -> str:
        """What left streams were charged too little, in words; empty where nothing is missing."""
        if not self.left_short:
            return ""
        return (
            f"{len(self.left_short)} of {self.left} left streams were charged less than the "
            f"provider's bill, together by {format_usd(sum(self.left_short.values()))}"
        )

    def rows(self) -> dict[str, str]:
        """The measures of the table."""
        return {
            "limit": format_usd(self.limit),
            "provider's bill": f"{format_usd(self.billed)} ({self.billed / self.limit:.3f}x)",
            "over the limit, pico-dollars": f"{self.over:,}",
            "calls the provider served": f"{self.served:,}",
            "own account of the spend": format_usd(self.spent),
            "most set aside and spent at once": format_usd(self.peak),
            "left open after the sweep, pico-dollars": f"{self.open:,}",
            "calls settled by the host's count": f"{self.exact:,}",
            "- ledger less provider, pico-dollars": f"{self.exact_ledger - self.exact_billed:,}",
            "- of them with another cost": f"{len(self.wrong):,}",
            "cancelled, cut or killed calls": f"{self.assumed:,}",
            "- ledger over provider": _ratio(self.assumed_ledger, self.assumed_billed),
            "- of them charged less than the provider's bill": f"{len(self.short):,}",
            "- left streams charged less than the provider's bill": (
                f"{len(self.left_short):,} of {self.left:,}, "
                f"by {format_usd(sum(self.left_short.values()))}"
            ),
            "served calls that the ledger does not know": f"{len(self.unknown):,}",
            "lines of the ledger": ", ".join(f"{n:,} {k}" for k, n in sorted(self.kinds.items())),
        }


def judged(
    entries: Iterable[Entry],
    bill: Sequence[Mapping[str, Any]],
    *,
    limit: int,
    peak: int,
    still_open: int,
) -> Verdict:
    """Hold the ledger's `entries` against the provider's `bill`, by call id."""
    by_call: dict[str, list[Entry]] = defaultdict(list)
    kinds: Counter[str] = Counter()
    slabs = 0
    for entry in entries:
        call = entry.record.tags.get("call")
        if call is None:
            slabs += entry.cost
        else:
            by_call[call].append(entry)
        kinds[f"{entry.kind}{' (estimated)' if entry.estimated else ''}"] += 1
    billed: Counter[str] = Counter()
    for line in bill:
        billed[line["id"]] += line["pico"]
    sums = {"exact": [0, 0, 0], "assumed": [0, 0, 0]}
    wrong: list[str] = []
    short: dict[str, int] = {}
    left_short: dict[str, int] = {}
    left = 0
    for call, lines in by_call.items():
        charged = sum(entry.cost for entry in lines)
        kind = "assumed" if any(entry.estimated for entry in lines) else "exact"
        for i, value in enumerate((1, charged, billed[call])):
            sums[kind][i] += value
        if kind == "exact" and charged != billed[call]:
            wrong.append(f"{call}: {charged} for {billed[call]}")
        if kind == "assumed":
            was_left = any(e.outcome in _LEFT and e.usage.output_tokens for e in lines)
            left += was_left
            if charged < billed[call]:
                (left_short if was_left else short)[call] = billed[call] - charged
    return Verdict(
        limit=limit,
        spent=slabs + sum(entry.cost for lines in by_call.values() for entry in lines),
        billed=sum(billed.values()),
        peak=peak,
        open=still_open,
        exact=sums["exact"][0],
        exact_ledger=sums["exact"][1],
        exact_billed=sums["exact"][2],
        wrong=tuple(wrong),
        assumed=sums["assumed"][0],
        assumed_ledger=sums["assumed"][1],
        assumed_billed=sums["assumed"][2],
        short=short,
        left=left,
        left_short=left_short,
        unknown={call: pico for call, pico in billed.items() if call not in by_call},
        slabs=slabs,
        kinds=kinds,
        served=len(bill),
    )


def _ratio(ours: int, theirs: int) -> str:
    return f"{ours / theirs:.2f}x" if theirs else "-"
