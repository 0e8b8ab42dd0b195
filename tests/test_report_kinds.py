"""The types of a report's columns hold whatever is in it: full, empty, or not told."""

from datetime import UTC, date, datetime

import pytest

from router.bills.calls import Paid
from router.bills.reprice import Repriced, Row
from router.bills.result import Reconciliation, Residual
from router.reports.fleets import Fleets
from router.reports.savings import Savings, SavingsRow
from router.types import Usage

pytest.importorskip("pyarrow")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def residual(**told):
    given = {"billed": 3, "billed_requests": 1, "billed_tokens": (1, 2, 3)} | told
    return Residual(
        day=date(2026, 11, 22),
        model="m",
        ours=2,
        low=0,
        high=0,
        alarm=True,
        our_requests=1,
        our_tokens=(1, 2, 3),
        **given,
    )


def reconciled(*residuals):
    return Reconciliation(invoice=None, residuals=residuals, findings=())


def repriced(*new):
    call = Paid(
        id="r/0",
        request_id="r",
        candidate="m@h",
        model="m",
        host="h",
        began=NOW,
        ended=NOW,
        usage=Usage(),
        cost=5,
        reserved=9,
        rates_id="m@h/1",
        outcome="ok",
        state="told",
    )
    return Repriced(tuple(Row(call=call, old=5, new=each) for each in new))


@pytest.mark.parametrize(
    ("full", "others"),
    [
        (repriced(7), [repriced(), repriced(None)]),
        (
            reconciled(residual()),
            [reconciled(), reconciled(residual(billed_requests=None, billed_tokens=None))],
        ),
        (Savings([SavingsRow("baseline", "m@h")]), [Savings([])]),
    ],
    ids=["repriced", "reconciled", "savings"],
)
def test_a_column_has_one_type(full, others):
    """What a bill does not tell is a count that is not known, and no text."""
    schema = full.to_frame("pyarrow").schema
    assert tuple(schema.names) == full.columns == tuple(full.kinds)
    for other in others:
        assert other.to_frame("pyarrow").schema == schema
    (row,) = full
    assert {name: type(value) for name, value in row.items()} == dict(full.kinds)


def test_columns_are_those_with_types():
    """A report names its columns once."""
    assert Fleets(()).columns == tuple(Fleets(()).kinds)
