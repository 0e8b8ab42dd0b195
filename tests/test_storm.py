"""A small storm: many callers, one budget, cancellations and kills; see `benchmarks/storm.py`."""

import os
import signal

import pytest

from benchmarks._ledger_stores import fresh
from benchmarks._storm_run import Storm
from benchmarks.storm import faults, through_us

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
POSTGRES = os.environ.get("CENTROUTE_TEST_POSTGRES", "")
SMALL = Storm(processes=4, threads=12, calls=8, share=0.4, killed=2, midway=0.3)


@pytest.mark.parametrize("leased", [False, True], ids=["direct", "leased"])
@pytest.mark.parametrize(
    "store",
    ["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="no URL"))],
)
def test_a_storm_breaks_no_budget(store, tmp_path, leased):
    """Threads, loops and processes, some killed: nothing over the limit, nothing left open, what
    was settled is the provider's count to the pico-dollar, what was lost is charged in full."""
    with fresh(POSTGRES if store == "postgres" else "sqlite", tmp_path) as at:
        verdict, seen, _ = through_us(SMALL, at, leased=leased)
    assert faults(verdict, seen) == []
    assert seen["refused"], "all of it fitted: no storm"
    assert seen["answered"] and seen["left"] and seen["cancelled"]
    assert verdict.exact > 20
    if not leased:  # a slab may just have been given back
        assert verdict.kinds["expire (estimated)"], "nothing was under way when one was killed"
