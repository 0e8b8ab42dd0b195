"""Labels stay few and short, whatever tags requests bring; memory and warnings with them."""

import string
import threading

from hypothesis import given
from hypothesis import strategies as st
from observing import ANSWER, ask, client_of

from router.telemetry.guard import LONGEST, MOST, OTHER, Guard, shortened
from router.testing import reply


def test_a_tag_of_many_values_is_a_bounded_number_of_series(observed, caplog):
    """The first hundred have series of their own, the others share one; nothing is lost."""
    with client_of(*[reply(ANSWER)] * 130, metric_tags=["user"]) as client:
        for i in range(130):
            ask(client, tags={"user": f"u{i}"})
    counted = observed.values("centroute.attempts", "centroute.tag.user")
    assert len(counted) == MOST + 1
    assert counted[OTHER,] == 30
    assert sum(counted.values()) == 130
    warnings = [r for r in caplog.records if "centroute.tag.user" in r.getMessage()]
    assert len(warnings) == 1
    assert "u1" not in caplog.text


def test_two_clients_share_the_bound(observed):
    """Series are of the process, so that a client for each request does not multiply them."""
    for i in range(MOST + 20):
        with client_of(reply(ANSWER), metric_tags=["user"]) as client:
            ask(client, tags={"user": f"u{i}"})
    assert len(observed.values("centroute.attempts", "centroute.tag.user")) == MOST + 1


def test_sets_of_values_are_bounded_too():
    """Two labels of 30 values have 900 sets: beyond the most, both are other."""
    guard = Guard(most=50)

    def fit(a, b):
        return guard.fit("", {"a": a, "b": b}, [((), 100)])

    found = [fit(str(i), str(j)) for i in range(30) for j in range(30)]
    assert len({tuple(each.values()) for each in found}) == 101
    assert found[-1] == {"a": OTHER, "b": OTHER}
    assert fit("0", "0") == {"a": "0", "b": "0"}


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), max_size=300))
def test_labels_are_given_up_one_by_one(asked):
    """What was shown once is shown so for ever; each step has its room; none says what is not."""
    guard, first, rooms = Guard(), {}, (12, 7, 4)
    steps = list(zip(((), ("c",), ("b",)), rooms, strict=True))
    for values in asked:
        labels = dict(zip("abc", map(str, values), strict=True))
        shown = guard.fit("", labels, steps)
        assert all(shown[label] in {labels[label], OTHER} for label in "abc")
        assert first.setdefault(values, shown) == shown
        hidden = [label for label in "abc" if shown[label] == OTHER]
        assert hidden == ["a", "b", "c"][3 - len(hidden) :]
    for hidden, room in enumerate(rooms):
        sets = {tuple(s.values()) for s in first.values() if [*s.values()].count(OTHER) == hidden}
        assert len(sets) <= room


def test_an_absent_tag_takes_no_room():
    """Nothing is a value that every label has."""
    guard = Guard(most=1)
    assert [guard.value("a", value) for value in ("", "x", "y", "")] == ["", "x", OTHER, ""]


texts = st.text(max_size=200)


@given(st.lists(texts, max_size=60))
def test_values_are_bounded_stable_and_short(values):
    """At most so many values come out, of bounded length, and a value's own never changes."""
    guard = Guard(most=10)
    first = {}
    for value in values:
        shown = guard.value("a", value)
        assert len(shown) <= LONGEST
        assert first.setdefault(value, shown) == shown
    assert len(set(first.values()) - {"", OTHER}) <= 10


@given(texts, texts)
def test_long_values_stay_apart(one, two):
    """Two values that differ far down are not made one."""
    prefix = string.ascii_letters * 2
    assert (shortened(prefix + one) == shortened(prefix + two)) == (one == two)


def test_threads_keep_the_bound():
    """However many ask at once."""
    guard, found = Guard(most=20), set()
    start = threading.Barrier(8)

    def work(n):
        start.wait()
        found.update(guard.value("a", f"{n % 4}-{i}") for i in range(200))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 21
