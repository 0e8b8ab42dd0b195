"""Lengths that prompts ask for: which phrases count, and what they come to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.length.asked import asked_length
from classifiers.prompt import Prompt

ASKED = [
    ("Explain entropy in three sentences.", 78),
    ("Summarize this article in at most 50 words.", 51),
    ("Write a 500-word essay on the sea.", 675),
    ("Write a two-paragraph summary of the plot.", 220),
    ("List 10 reasons to learn Rust.", 140),
    ("Please list five countries in Africa.", 70),
    ("Give me 3 examples of irony.", 90),
    ("Give me 3 ideas for a party.", 42),
    ("Describe the water cycle in one paragraph.", 110),
    ("Answer in a single sentence: why is the sky blue?", 26),
    ("Reply in no more than twenty words.", 20),
    ("Name the top 5 rivers of Europe.", 70),
    ("Could you suggest 7 names for a cat?", 98),
    ("Summarise the report using 4 bullet points.", 104),
    ("Draft a one-page letter to my landlord.", 650),
    ("Write about 200 words on bees.", 270),
    ("Explain it to me within 100 words.", 101),
    ("Here is a long text.\n\nSummarise it in 2-3 sentences.", 78),
    ("Create a list of 5 words that rhyme with cat.", 7),
]
NOT_ASKED = [
    "A book has 300 pages. Anna reads 12 pages a day. How many days does she need?",
    "If 5 words cost $2, what do 20 words cost?",
    "How many words are in this sentence?",
    "Find the number of two-page spreads in a 48-page book.",
    "Compute the sum of the first two paragraphs' numbers.",
    "John gave 3 apples to Mary. How many are left?",
    "Which paragraph mentions two words?",
    "The list has 10 items; which is the largest?",
    "Describe the 12 pages of evidence.",
    "Explain why the 3 page limit matters.",
    "Write an email to Bob about the 3 pages he lost.",
    "Write a function that returns a list of words.",
    "What is 2 + 2?",
    "Reply with the final answer only, yes or no.",
    "Write a haiku.",
    "in 50 words",
    "",
]


@pytest.mark.parametrize(("text", "tokens"), ASKED)
def test_what_asks_for_a_length(text, tokens) -> None:
    """The number and the unit, digits or words, make tokens; case does not matter."""
    for said in (text, text.upper()):
        asked = asked_length(said)
        assert asked is not None
        assert math.expm1(asked.log_tokens) == pytest.approx(tokens, abs=1)
        assert 0.3 <= asked.spread <= 1.0
    assert asked_length(Prompt(text=text)) == asked_length(text)


@pytest.mark.parametrize("text", NOT_ASKED)
def test_what_asks_for_none(text) -> None:
    """Numbers of words and pages that a problem is about, or that are there already."""
    assert asked_length(text) is None


def test_a_limit_is_used_in_part_and_less_surely() -> None:
    """At most fifty words are fewer than fifty."""
    exactly, most = (asked_length(f"Explain it in {how}50 words.") for how in ("", "at most "))
    assert most.log_tokens < exactly.log_tokens
    assert most.spread > exactly.spread


def test_more_words_are_more_tokens() -> None:
    """In any unit."""
    for unit in ("words", "sentences", "paragraphs", "pages"):
        found = [asked_length(f"Write {n} {unit} about bees.") for n in (2, 5, 9, 12)]
        logs = [asked.log_tokens for asked in found]
        assert logs == sorted(set(logs))


def test_a_schema_asks_for_an_answer_of_its_size() -> None:
    """Unless words say more; a schema of no size says nothing."""
    plain = Prompt(text="Extract the invoice.", schema_chars=2000)
    assert math.expm1(asked_length(plain).log_tokens) == pytest.approx(400)
    small = asked_length(Prompt(text="Extract the invoice.", schema_chars=3))
    assert math.expm1(small.log_tokens) == pytest.approx(8)
    said = Prompt(text="Explain the invoice in 10 words.", schema_chars=2000)
    assert asked_length(said) == asked_length(said.text)
    assert asked_length(Prompt(text="Extract the invoice.")) is None


def test_only_the_ends_of_a_long_prompt_are_read() -> None:
    """An instruction before or after a document counts, one inside it does not."""
    document, wish = "The sea is wide. " * 6000, " Explain it in three sentences. "
    at_the_end, at_the_start, inside = document + wish, wish + document, document + wish + document
    assert asked_length(at_the_end) == asked_length(at_the_start) == asked_length(wish)
    assert asked_length(inside) is None


@given(st.text(max_size=300), st.sampled_from(["write ", "list ", "give me ", "explain in "]))
def test_any_text_is_read_without_an_error(text, verb) -> None:
    """What is found is finite and of at least one token."""
    for said in (text, verb + text, f"{verb}{text} words", f"{verb}99999 pages {text}"):
        asked = asked_length(said)
        if asked is not None:
            assert math.isfinite(asked.log_tokens)
            assert math.expm1(asked.log_tokens) >= 0.999
            assert asked.spread > 0
