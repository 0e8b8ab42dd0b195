"""Announcements, withdrawals and corrections: what was known when."""

import pytest
from catalogs import exchange, rate, small, utc

from router.catalog import Catalog
from router.errors import CatalogError
from router.money import to_pico

PRO = "deepseek-v4-pro@deepseek"


def test_the_cancelled_move_to_flash_prices():
    """V4-Pro's move, announced and withdrawn in September 2026, counts only in between."""
    catalog, at = Catalog.default(), utc("2026-09-15T12:00")
    real, planned = to_pico("0.66"), to_pico("0.15")
    assert catalog.rates(PRO, at).input == real
    for known_at, expected in [
        ("2026-09-09T23:59:59", real),
        ("2026-09-10T00:00", planned),
        ("2026-09-10T23:59:59", planned),
        ("2026-09-11T00:00", real),
        ("2026-11-22T00:00", real),
    ]:
        assert catalog.rates(PRO, at, known_at=utc(known_at)).input == expected
    withdrawn = [r.rate for r in catalog.rows(PRO, at) if r.rate.withdrawn]
    assert [r.valid_from for r in withdrawn] == [utc("2026-09-14")]
    assert "PR 6904" in withdrawn[0].source
    assert catalog.counts(PRO, at).rate.valid_from == utc("2026-08-22T16:00")


def test_a_correction_stands_beside_the_first():
    """Two rows of one start: the one known later counts, from when it was known."""
    catalog = small(
        rate(valid_from="2026-01-01", input="1"),
        rate(valid_from="2026-01-01", known_since="2026-03-01", input="3"),
    )
    at = utc("2026-06-01")
    assert catalog.rates("m@h", at).input == to_pico(3)
    assert catalog.rates("m@h", at, known_at=utc("2026-02-28")).input == to_pico(1)
    assert catalog.rates("m@h", at, known_at=utc("2026-03-01")).input == to_pico(3)
    first = catalog.rates("m@h", at, known_at=utc("2026-02-28"))
    assert (first.id, first.known_since) == ("m@h/2026-01-01", utc("2026-01-01"))
    later = catalog.rates("m@h", at)
    assert (later.id, later.known_since) == ("m@h/2026-01-01~2026-03-01", utc("2026-03-01"))


def test_a_later_start_goes_before_a_later_correction():
    """Of the rows in force the latest start counts, whatever became known last."""
    catalog = small(
        rate(valid_from="2026-01-01", known_since="2026-05-01", input="1"),
        rate(valid_from="2026-02-01", known_since="2026-01-15", input="2"),
    )
    assert catalog.rates("m@h", utc("2026-06-01")).input == to_pico(2)


def test_ids_tell_layers_apart():
    """An overlay's row of the same start has an id of its own."""
    base = small(rate(valid_from="2026-01-01"))
    over = base.overlay({"rate": [rate(valid_from="2026-01-01", input="3")]})
    ids = [c.rates("m@h", utc("2026-02-01")).id for c in (base, over)]
    assert ids == ["m@h/2026-01-01", "m@h/2026-01-01+1"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([rate(valid_from="2026-02-01", withdrawn="2026-01-15")], "withdrawn after known_since"),
        ([rate(known_since="2026-01-15", withdrawn="2026-01-15")], "withdrawn after known_since"),
        ([rate(valid_from="2026-01-01"), rate(valid_from="2026-01-01", input="3")], "duplicate"),
        (
            [
                rate(valid_from="2026-01-01"),
                rate(valid_from="2026-01-01", known_since="2026-01-01"),
            ],
            "duplicate",
        ),
    ],
)
def test_rows_that_contradict_are_refused(rows, says):
    """A withdrawal before the announcement, or one price twice, is an error that says so."""
    with pytest.raises(CatalogError, match=says):
        small(*rows)


def test_exchange_as_it_was_known():
    """With known_at a conversion uses the exchange row that was there by then."""
    catalog = small(
        rate(currency="CNY"),
        exchange=[
            exchange("0.14", valid_from="2026-01-01"),
            exchange("0.15", valid_from="2026-03-01"),
        ],
    )
    at = utc("2026-04-01")
    assert catalog.rates("m@h", at).input == to_pico("0.15")
    assert catalog.rates("m@h", at, known_at=utc("2026-02-01")).input == to_pico("0.14")
    assert catalog.rates("m@h", at, known_at=utc("2025-12-31")) is None
