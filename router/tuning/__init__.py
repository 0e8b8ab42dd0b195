"""Tuning on one's own traffic: `from router import tuning`.

`load` traffic, `sweep` policies over it, see the `frontier`, `choose` by a dollar target or a
quality floor, `estimate` a policy that was never run, `gate` it against the one in use, and
`save_policy`. A `Judge` grades answers, `grade` and `agrade` a table of them within a budget;
`agreement` says how far to trust it.
"""

from __future__ import annotations

from router.tuning.agreement import Agreement, agreement
from router.tuning.choose import Choice, choose
from router.tuning.frontier import Frontier, frontier
from router.tuning.gate import Verdict, gate
from router.tuning.grading import Graded, agrade, grade
from router.tuning.judge import Judge, Judgement
from router.tuning.judge_prompt import VERDICT
from router.tuning.label_set import recorded
from router.tuning.load import load
from router.tuning.measure import Measured
from router.tuning.off_policy import Estimate, estimate
from router.tuning.replay import choices
from router.tuning.save import policy_text, save_policy
from router.tuning.sweep import Family, Sweep, family, sweep
from router.tuning.traffic import Logged, Outcome, Traffic

__all__ = [
    "VERDICT",
    "Agreement",
    "Choice",
    "Estimate",
    "Family",
    "Frontier",
    "Graded",
    "Judge",
    "Judgement",
    "Logged",
    "Measured",
    "Outcome",
    "Sweep",
    "Traffic",
    "Verdict",
    "agrade",
    "agreement",
    "choices",
    "choose",
    "estimate",
    "family",
    "frontier",
    "gate",
    "grade",
    "load",
    "policy_text",
    "recorded",
    "save_policy",
    "sweep",
]


def __dir__() -> list[str]:
    return list(__all__)  # not the modules behind it: `judge` would stand beside `Judge`
