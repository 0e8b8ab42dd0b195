"""What self-hosting costs: prices that follow the load, break-even, and what a fleet did cost."""

from router.catalog.fleet import Fleet, Flow, Point, TokenPrices
from router.catalog.fleet_past import priced
from router.selfhost.breakeven import HOURS_A_MONTH, Mix, Rival, Sized, rival, rivals, sized
from router.selfhost.costs import FleetCosts, fleet_costs, fleets_costs
from router.selfhost.load import Load
from router.selfhost.refresh import Busy, busy, refreshed
from router.selfhost.scenarios import UTILISATIONS, Scenarios, scenarios

__all__ = [
    "HOURS_A_MONTH",
    "UTILISATIONS",
    "Busy",
    "Fleet",
    "FleetCosts",
    "Flow",
    "Load",
    "Mix",
    "Point",
    "Rival",
    "Scenarios",
    "Sized",
    "TokenPrices",
    "busy",
    "fleet_costs",
    "fleets_costs",
    "priced",
    "refreshed",
    "rival",
    "rivals",
    "scenarios",
    "sized",
]
