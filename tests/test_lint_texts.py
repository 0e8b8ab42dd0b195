"""Parts of the linter: what is told by its form, how texts differ, what belongs together."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.prompts import causes
from router.prompts._lint.history import continues
from router.prompts._lint.routes import Routes
from router.prompts._lint.texts import canonical_text, difference, reordered, slid, squeezed
from router.prompts._lint.view import Sent, View
from router.prompts._lint.volatile import atoms, kind_of, kind_of_change, masked


@pytest.mark.parametrize(
    ("atom", "kind"),
    [
        ("2026-11-22T12:34:56Z", causes.TIMESTAMP),
        ("2026-11-22 12:34:56.123+01:00", causes.TIMESTAMP),
        ("Sun, 22 Nov 2026 12:34:56 GMT", causes.TIMESTAMP),
        ("Sunday, November 22, 2026 at 12:34 PM", causes.TIMESTAMP),
        ("11/22/2026, 12:34:56 PM", causes.TIMESTAMP),
        ("22.11.2026 12:34", causes.TIMESTAMP),
        ("20261122T123456Z", causes.TIMESTAMP),
        ("12:34", causes.TIMESTAMP),
        ("2026年11月22日 12:34", causes.TIMESTAMP),
        ("2026-11-22", causes.DATE),
        ("November 22nd, 2026", causes.DATE),
        ("Sunday", causes.DATE),
        ("星期日", causes.DATE),
        ("550e8400-e29b-41d4-a716-446655440000", causes.UUID),
        ("1763800000", causes.EPOCH),
        ("1763800000123", causes.EPOCH),
        ("1763800000.25", causes.EPOCH),
        ("3f2a9c1b77de", causes.RANDOM_ID),
        ("req_8fK2jd9Sx1", causes.RANDOM_ID),
        ("01JD8Z4Y9KX5T6V7W8A9B0C1D2", causes.RANDOM_ID),
        ("17", "number"),
        ("3.50", "number"),
        ("understanding", ""),
        ("sun", ""),
        (" ", ""),
        ("。", ""),
    ],
)
def test_kinds(atom, kind):
    """Times, dates and ids are told by their form, and are one piece of a text."""
    assert kind_of(atom) == kind
    assert atom in atoms(f"before,|{atom}|after")


@settings(deadline=None)
@given(st.text(max_size=200))
def test_atoms_lose_nothing(text):
    """Pieces of a text make the text."""
    assert "".join(atoms(text)) == text


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("3", "4", causes.COUNTER),
        ("3", "900", ""),
        ("12.5", "13.1", ""),
        ("1,001", "1,002", causes.COUNTER),
        ("10.0.3.7", "10.0.9.12", causes.RANDOM_ID),
        ("Sunday", "Monday", causes.DATE),
        ("12:30", "12:31", causes.TIMESTAMP),
        ("12:30", "now", ""),
        ("", "12:30", causes.TIMESTAMP),
        ("", "hello", ""),
        ("Ann", "Bob", ""),
        ("123456789012", "9af0b1c2d3e4", causes.RANDOM_ID),
    ],
)
def test_kinds_of_changes(before, after, cause):
    """A change has a kind only where all of it is of that kind."""
    assert kind_of_change(atoms(before), atoms(after)) == cause


def test_masks_keep_what_a_text_is_about():
    """Times and ids go, words and plain numbers stay."""
    assert masked("At 12:30 pay 17 to req_8fK2jd9Sx1\nAnn") == "At \0 pay 17 to \0\nAnn"


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_differences_rebuild(before, after):
    """What is new is part of the new text; equal texts have no changes."""
    found = difference(before, after)
    assert len(found.new) <= len(after)
    assert 0 <= found.kept <= 1
    assert (found.changes == ()) == (
        before.splitlines(keepends=True) == after.splitlines(keepends=True)
    )


def test_a_difference_is_as_small_as_it_is():
    """One word of a long text, and the time as a whole."""
    text = "Hello {}, it is {} now.\n" + "rule\n" * 50
    found = difference(text.format("Ann", "12:30"), text.format("Bob", "12:41"))
    assert [(c.before, c.after) for c in found.changes] == [
        (("Ann",), ("Bob",)),
        (("12:30",), ("12:41",)),
    ]
    assert found.kept > 0.85


def test_json_in_texts():
    """Keys, spaces and escapes of JSON do not count; values do."""
    one, other = 'Found: {"a": 1, "b": "é"} end', 'Found: {"b":"\\u00e9",\n"a":1} end'
    assert squeezed(canonical_text(one)) == squeezed(canonical_text(other))
    assert canonical_text('{"a": 1}') != canonical_text('{"a": 2}')
    assert canonical_text("no { json [ here") == "no { json [ here"


def test_blocks_in_another_order():
    """Paragraphs, lines and JSON members; labels that count up do not hide them."""
    docs = ["Doc one is about cats.", "Doc two is about dogs.", "Doc three: birds."]
    for join in ("\n\n", "\n"):
        found = reordered(join.join(docs), join.join((docs[1], docs[0], docs[2])))
        assert found.blocks == (docs[1], docs[0], docs[2])
        assert found.moved == (docs[1], docs[0])
    one = 'Docs: [{"id": 1, "t": "a"}, {"id": 2, "t": "b"}]'
    other = 'Docs: [{"id": 2, "t": "b"}, {"id": 1, "t": "a"}]'
    assert reordered(one, other).blocks == ('{"id": 2, "t": "b"}', '{"id": 1, "t": "a"}')
    numbered = [[f"[{n}] {doc}" for n, doc in enumerate(d, 1)] for d in (docs, docs[::-1])]
    assert len(reordered("\n\n".join(numbered[0]), "\n\n".join(numbered[1])).blocks) == 3
    assert reordered("\n\n".join(docs), "\n\n".join(docs)) is None
    assert reordered("a\nb", "c\nd") is None


def view(*texts, system="Be kind.", first="user"):
    """A conversation of these texts, users first or assistants."""
    roles = ("user", "assistant") * len(texts)
    roles = roles[first != "user" :]
    messages = [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]
    return View(Sent(messages=({"role": "system", "content": system}, *messages)))


def test_conversations_that_go_on():
    """By the last message, which may be stamped anew; a "yes" that others say is not enough."""
    p = view("Find me a flight", "To where?", "Lima")
    assert continues(p, view("Find me a flight", "To where?", "Lima", "Done", "Thanks"))
    assert continues(
        p, view("To where?", "Lima", "Done", first="assistant")
    )  # its head is cut off
    assert not continues(p, view("A room please", "Which city?", "Oslo"))
    assert not continues(
        view("A", "B", "C", "D", "yes"), view("E", "F", "G", "H", "yes", "I", "J")
    )
    stamped = [
        view(f"Hi ({time})", "Hello", f"Go on ({time})", "ok") for time in ("12:30", "12:31")
    ]
    assert continues(*stamped)


def test_routes_by_head():
    """Requests of one application are one route, whatever the time or the user in their heads."""
    routes = Routes()
    rules = "You sell flights. " + " ".join(f"rule{n}" for n in range(60))
    first = routes.of(view("Hi", system=f"{rules} It is 12:30."))
    assert routes.of(view("Ho", system=f"Ann. {rules} It is 12:31.")) == first
    second = routes.of(view("Hi", system="Translate what follows into French, and only that."))
    assert second != first
    assert re.fullmatch(r"route \d", second)
    bare = View(Sent(messages=({"role": "user", "content": "Hi"},)))
    assert routes.of(bare) not in {first, second}


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "{" * 60_000, "[1, " * 20_000, '{"a": ' * 20_000, "[]" * 20_000]
)
def test_brackets_without_end(text):
    """What opens JSON and never closes it takes no time by the square, and changes nothing."""
    assert canonical_text(text).replace(" ", "")[:200] == text.replace(" ", "")[:200]
    assert difference(text, text + "x").changes != ()
    reordered(text, text + "x")


def test_huge_texts_are_taken_as_a_whole():
    """A change of very many words is one change."""
    one, other = ("".join(f"{w}{n} " for n in range(20_000)) for w in "ab")
    found = difference(one, other)
    assert len(found.changes) == 1
    assert len(found.new) > 0.99 * len(other)


def test_a_window_that_moves_on():
    """The old text without its beginning and with a longer end; not the same blocks turned."""
    log = "".join(f"line {n} of the log says {n * n}\n" for n in range(60))
    assert slid(f"HISTORY:\n{log[:900]}", f"HISTORY:\n{log[200:1100]}")
    assert not slid(f"HISTORY:\n{log[:900]}", f"HISTORY:\n{log[:1100]}")
    assert not slid(f"HISTORY:\n{log[:900]}", f"HISTORY:\n{log[200:900]}{log[:200]}")
    assert not slid("short", "other")
