"""Policies: pure functions from quotes to a decision. `router` re-exports the public names."""

from policies.cheapest import cheapest
from policies.compose import sparing
from policies.load import load_policy, presets
from policies.threshold import threshold
from policies.types import Context, Decision, Policy, Quote
from policies.utility import utility

__all__ = [
    "Context",
    "Decision",
    "Policy",
    "Quote",
    "cheapest",
    "load_policy",
    "presets",
    "sparing",
    "threshold",
    "utility",
]
