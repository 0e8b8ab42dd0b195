"""What a fleet cost over a span of the ledger: rent, idle, marginal, charged."""

import json
from datetime import timedelta
from fractions import Fraction

import pytest
from spending import NOW, Book

from router.cli import main
from router.errors import InvalidRequestError
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_pico, to_usd
from router.selfhost import Fleet, Flow, Point, fleet_costs

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
    span = ["--since", "2026-11-22T00:00Z", "--until", "2026-11-23T00:00Z"]
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
