"""Policies: pure functions from quotes to a decision. `router` re-exports the public names.

Each is a small frozen value that is called like a function, so policies can be compared, printed,
pickled and written to files. A function of one's own is as good, wherever a policy is expected.
"""

from policies.cascade import cascade
from policies.cheapest import cheapest, cheapest_adequate
from policies.compose import first_of, restrict, sparing
from policies.constrained import constrained
from policies.explore import explore
from policies.ladder import ladder
from policies.load import load_policy, presets
from policies.pacing import pacing
from policies.spec import fingerprint, from_spec, to_spec
from policies.threshold import threshold
from policies.types import Context, Decision, Policy, Purse, Quote
from policies.utility import utility

__all__ = [
    "Context",
    "Decision",
    "Policy",
    "Purse",
    "Quote",
    "cascade",
    "cheapest",
    "cheapest_adequate",
    "constrained",
    "explore",
    "fingerprint",
    "first_of",
    "from_spec",
    "ladder",
    "load_policy",
    "pacing",
    "presets",
    "restrict",
    "sparing",
    "threshold",
    "to_spec",
    "utility",
]
