"""What a fleet cost over a span of the ledger: rent, idle, marginal, charged."""

import json
from datetime import timedelta
from fractions import Fraction

import pytest
from spending import NOW, Book

from router.catalog import Catalog
from router.cli import main
from router.errors import InvalidRequestError
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_pico, to_usd
from router.selfhost import Fleet, Flow, Point, fleet_costs, fleets_costs

# 110 tokens a call (100 in, 64 of them cached, 10 out); a replica serves 11 calls in 10 seconds.
FLEET = Fleet(
    gpus=2,
    usd_per_gpu_hour=to_pico("1.80"),
    curve=(Point(None, Flow(input_tokens=110, cache_read_tokens=0, output_tokens=11)),),
)
HOUR = timedelta(hours=1)


@pytest.fixture
def book():
    found = Book()
    yield found
    found.ledger.close()


def costs(book, since=NOW - HOUR, until=NOW + HOUR, fleet=FLEET):
    return fleet_costs(book.ledger.entries(), fleet, since, until, endpoint="m@h")


def test_rent_is_paid_whether_busy_or_not(book):
    """Without a call all of it is idle."""
    found = costs(book)
    assert found.rent == found.idle == to_pico("7.2")
    assert (found.requests, found.tokens, found.marginal, found.charged) == (0, 0, 0, 0)
    assert found.per_million(found.rent) is None


def test_what_calls_took(book):
    """33 calls of 110 tokens are 30 seconds of two hours; the rest is idle; charged is charged."""
    for _ in range(33):
        book.call(1000)
    found = costs(book)
    assert (found.requests, found.input_tokens, found.cache_read_tokens) == (33, 3300, 33 * 64)
    assert found.utilisation == Fraction(30, 7200)
    assert found.idle == found.rent - found.rent * 30 // 7200
    assert found.charged == 33_000
    saturated = to_pico("3.60") * 30 // 3600
    assert saturated <= found.marginal <= saturated * 1.001
    assert found.per_million(found.rent) == to_usd(-(-found.rent * 10**6 // 3630))
    assert found.rent - found.idle == pytest.approx(found.marginal, rel=0.001)


def test_what_is_not_of_the_fleet_is_left_out(book):
    """Other endpoints, other times, and answers out of the response cache."""
    book.call(5, host="elsewhere")
    book.call(5, at=NOW - 2 * HOUR)
    book.call(5, at=NOW + HOUR)
    book.call(0, outcome="cached")
    assert costs(book).requests == 0
    book.call(5, at=NOW - HOUR)
    assert costs(book).requests == 1


def test_corrections_count(book):
    """A call that was thought lost and came after all counts once, with its true tokens."""
    lost = book.reserve()
    book.ledger.sweep(NOW + timedelta(minutes=11))
    book.settle(lost, 400)
    found = costs(book)
    assert (found.requests, found.tokens, found.charged) == (1, 110, 400)


def test_marginal_goes_by_the_load_of_the_hour(book):
    """A busy hour's tokens are dearer than an idle hour's, where the curve says so."""
    curve = [(1, 110), (2, 200), (8, 220)]
    points = tuple(Point(Fraction(c), Flow(output_tokens=Fraction(out))) for c, out in curve)
    fleet = Fleet(gpus=1, usd_per_gpu_hour=to_pico("3.60"), curve=points)
    for _ in range(300):
        book.call(0)
    idle = costs(book, fleet=fleet).marginal
    many = Fleet(gpus=1, usd_per_gpu_hour=to_pico("3.60"), curve=_scaled(points, 1 / 20))
    busy = costs(book, fleet=many).marginal / 20
    assert 0 < idle < busy


def owned(*spans, **tables):
    """m@h on so many replicas, from and to these instants, as `FLEET` but with one GPU each."""
    row = {
        "endpoint": "m@h",
        "gpus": 1,
        "usd_per_gpu_hour": "3.60",
        "utilisation": 45,
        "curve": [{"input": 110, "output": 11}],
        "source": "s",
        "checked": "2026-11-22",
    }
    fleets = [
        row | {"replicas": n} | {k: at for k, at in (("valid_from", a), ("valid_to", b)) if at}
        for n, a, b in spans
    ]
    host = {"name": "h", "self_hosted": True}
    served = {"model": "m", "host": "h", "model_id": "m"}
    limits = {"context_tokens": 1000, "max_output_tokens": 10}
    return Catalog.load(
        {
            "host": [host],
            "model": [{"name": "m"}],
            "endpoint": [served | limits],
            "fleet": fleets,
            **tables,
        }
    )


def test_a_fleet_that_changed_is_paid_as_it_was(book):
    """Ten replicas for three hours, then one for one hour: 31 x 3.60 USD, not 4 x 3.60."""
    catalog = owned((10, None, NOW), (1, NOW, None))
    for _ in range(33):
        book.call(1000)
    (found,) = fleets_costs(book.ledger.entries(), catalog, NOW - 3 * HOUR, NOW + HOUR)
    assert found.rent == to_pico("111.6")
    assert (found.since, found.until) == (NOW - 3 * HOUR, NOW + HOUR)
    assert (found.requests, found.tokens, found.charged) == (33, 3630, 33_000)
    late = fleet_costs(
        book.ledger.entries(),
        catalog.fleets(NOW)["m@h"].fleet.fleet,
        NOW,
        NOW + HOUR,
        endpoint="m@h",
    )
    assert found.marginal == late.marginal
    assert found.idle == late.idle + to_pico("108")
    assert found.utilisation == late.utilisation / 31


def test_rent_is_only_of_when_a_fleet_was_there(book):
    """Before its first row and after its last nothing is rented, and calls are not its own."""
    catalog = owned((1, NOW - HOUR, NOW))
    book.call(1000)
    book.call(1000, at=NOW - HOUR / 2)
    (found,) = fleets_costs(book.ledger.entries(), catalog, NOW - 9 * HOUR, NOW + 9 * HOUR)
    assert (found.rent, found.requests) == (to_pico("3.60"), 1)
    assert fleets_costs([], catalog, NOW, NOW + HOUR) == ()
    with pytest.raises(InvalidRequestError, match="until after since"):
        fleets_costs([], catalog, NOW, NOW)


def test_what_was_measured_changes_no_rent(book):
    """Utilisation rows are prices of one fleet: the span is not cut, nor its hours."""
    busy = [
        {"endpoint": "m@h", "valid_from": NOW - minutes * HOUR / 60, "percent": 60}
        for minutes in range(1, 50, 7)
    ]
    for minutes in range(60):
        book.call(1000, at=NOW - minutes * HOUR / 60)
    calls = list(book.ledger.entries())
    found = [
        fleets_costs(calls, owned((1, None, None), **more), NOW - HOUR, NOW + HOUR)
        for more in ({}, {"utilisation": busy})
    ]
    assert found[0] == found[1]
    fleet = owned((1, None, None)).fleets(NOW)["m@h"].fleet.fleet
    assert found[0] == (fleet_costs(calls, fleet, NOW - HOUR, NOW + HOUR, endpoint="m@h"),)


def _scaled(points, by):
    return tuple(
        Point(p.in_flight, Flow(output_tokens=p.flow.output_tokens * Fraction(str(by))))
        for p in points
    )


def test_a_span_that_makes_no_sense(book):
    """It ends after it begins."""
    with pytest.raises(InvalidRequestError, match="until after since"):
        costs(book, until=NOW - HOUR)


def test_on_the_command_line(tmp_path, capsys):
    """`selfhost --spent` reads the ledger and says what was idle."""
    file = tmp_path / "ledger.sqlite3"
    book = Book()
    book.ledger.close()
    book.ledger = SQLiteLedger(file)
    model = "mixtral-8x7b-instruct-v0.1"
    book.call(1000, model=model, host="vllm")
    book.ledger.close()
    span = ["--since", "2026-11-21T13:00Z", "--until", "2026-11-22T13:00Z"]  # rent that is due
    asked = ["selfhost", model, "--spent", "--ledger", str(file), *span]
    assert main([*asked, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["requests"], found["input_tokens"], found["output_tokens"]) == (1, 100, 10)
    assert found["rent_usd"] == "176.160000000000"  # 2 x 3.67 x 24
    assert found["charged_usd"] == "0.000000001000"
    assert main(asked) == 0
    assert "176" in capsys.readouterr().out
    assert main(["selfhost", "nobody", "--spent", "--ledger", str(file)]) == 1
    assert "expected an endpoint with a [[fleet]] row" in capsys.readouterr().err
