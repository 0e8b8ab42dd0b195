"""What is not known is not zero: totals of routes and rows of reports without a price."""

import csv
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from learning import ASK, Learning, models, staged
from spending import NOW, Book

from router.cli import main
from router.errors import ConfigError, ConnectionFailedError, RouterError
from router.money import to_usd
from router.testing import reply

FREE = "free@h"


@pytest.fixture
def book():
    found = Book()
    yield found
    found.ledger.check()
    found.ledger.close()


def made(*answers, **settings):
    """Two priced models and two without a price."""
    rows = models("small", "large", "free", "gift")
    del rows["rate"][2:]
    return staged(
        *answers,
        catalog=rows,
        candidates=["small@h", "large@h", FREE, "gift@h"],
        policy=None,
        scorer=Learning(),
        **settings,
    )


@pytest.mark.parametrize("names", [["small@h", "large@h"], [FREE, "gift@h"]])
def test_a_fallback_after_a_charged_failure(names):
    """Both attempts are in the total, and where their price is not known there is none."""
    lost = ConnectionFailedError("gone", billable=True)
    route = made(lost, reply("x")).chat.completions.create(ASK, model=names).route
    assert [a.usage is None for a in route.attempts] == [False, False]
    if FREE in names:
        assert route.cost is route.total_cost_usd is None
    else:
        assert route.total_cost_usd == sum(a.cost.usd for a in route.attempts) > route.cost.usd


@pytest.mark.parametrize("names", [["small@h", "large@h"], [FREE, "gift@h"]])
def test_cost_usd_is_the_total_or_an_error(names):
    """It counts every attempt, as the ledger does; where that is unknown it is never a number."""
    client = made(ConnectionFailedError("gone", billable=True), reply("x y"))
    answer = client.chat.completions.create(ASK, model=names)
    with client.chat.completions.create(ASK, model=names, stream=True) as stream:
        with pytest.raises(RouterError, match="the stream has not ended"):
            print(stream.cost_usd)
        assert "".join(chunk.text for chunk in stream) == "x y"
    for one in (answer, stream):
        if FREE not in names:
            assert one.cost_usd == one.route.total_cost_usd > 0
            continue
        assert one.route.cost is one.route.total_cost_usd is None
        with pytest.raises(ConfigError, match=r"no price is known for \w+@h, and unknown"):
            print(one.cost_usd)
    if FREE not in names:
        assert answer.cost_usd > answer.route.cost.usd
        assert answer.cost_usd + stream.cost_usd == client.report().total


def test_a_closed_answer_without_a_price_leaves_no_total():
    """What came of it was charged, nobody knows how much."""
    client = made(reply("one two three"))
    with client.chat.completions.create(ASK, model=FREE, stream=True) as stream:
        next(stream)
    assert stream.route.attempts[0].usage is not None
    assert stream.route.total_cost_usd is None


def test_one_unknown_attempt_leaves_no_total():
    """However many others are known; an attempt that was not charged is no such attempt."""
    route = made(reply("x")).chat.completions.create(ASK, model="small@h").route
    (paid,) = route.attempts
    unknown, refused = replace(paid, cost=None), replace(paid, usage=None, cost=None)
    assert route.total_cost_usd == route.cost.usd > 0
    assert replace(route, attempts=(unknown, paid)).total_cost_usd is None
    assert replace(route, attempts=(refused, paid)).total_cost_usd == route.cost.usd
    assert replace(route, attempts=()).total_cost_usd == 0


def test_a_row_of_which_nothing_is_known(book, tmp_path):
    """No cost and no forecast, empty in a CSV; rows beside it keep theirs."""
    book.call(0, rates_id="", forecast_cost=None, model="free")
    book.call(0, rates_id="", forecast_cost=None, model="free")
    book.call(500, model="paid")
    report = book.report("model")
    free, paid = report
    assert (free["requests"], free["unpriced"]) == (2, 2)
    assert free["cost_usd"] is free["forecast_cost_usd"] is None
    assert (paid["cost_usd"], paid["forecast_cost_usd"]) == (to_usd(500), to_usd(700))
    assert (report.unpriced, report.total) == (2, to_usd(500))
    with report.to_csv(tmp_path / "spend.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["cost_usd"] for row in rows] == ["", "0.000000000500"]
    assert [row["forecast_cost_usd"] for row in rows] == ["", "0.000000000700"]


def test_a_row_that_is_known_in_part(book):
    """It shows what is known, how many calls are missing, and still adds up to the ledger."""
    book.call(0, rates_id="", forecast_cost=None)
    book.call(500)
    report = book.report()
    (row,) = report
    assert (row["requests"], row["unpriced"], row["cost_usd"]) == (2, 1, to_usd(500))
    assert row["forecast_cost_usd"] == to_usd(700)
    assert report.total == book.spent == row["cost_usd"]


def test_free_is_known(book):
    """A price of zero is a price; a call that was not made cost nothing."""
    book.call(0)
    book.ledger.release(book.reserve(model="idle"), at=NOW, outcome="RateLimitError")
    assert [row["cost_usd"] for row in book.report("model")] == [Decimal(0)] * 2
    assert book.report().unpriced == 0


def test_a_correction_of_an_unknown_cost(book):
    """The late truth about a lost call of unknown price is tokens, in a row of its own or not."""
    lost = book.reserve(amount=0, rates_id="", forecast_cost=None)
    book.ledger.sweep(NOW + timedelta(hours=1))
    book.settle(lost, 0)
    assert all(row["cost_usd"] is None for row in book.report("outcome"))
    (row,) = book.report()
    assert (row["requests"], row["unpriced"], row["input_tokens"]) == (1, 1, 100)
    assert row["cost_usd"] is None


def test_the_command_says_unknown(tmp_path, capsys):
    """On the screen a word, in JSON null, and that the total is without it."""
    path = tmp_path / "ledger.sqlite3"
    client = made(reply("x"), reply("x"), ledger=str(path))
    with client:
        client.chat.completions.create(ASK, model=FREE)
    assert main(["report", "--by", "model", "--ledger", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.count("unknown") == 2
    assert "calls without a known price, not in this total: 1" in out
    assert main(["report", "--by", "model", "--ledger", str(path), "--json"]) == 0
    out = capsys.readouterr().out
    assert '"cost_usd": null' in out
    assert '"unpriced": 1' in out
