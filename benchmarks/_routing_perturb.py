"""What a user may do to a prompt without changing its difficulty: seeded, by rule, no model."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Perturbation = Callable[[str, random.Random], str]

SYNONYMS = {
    "find": "determine", "determine": "find", "calculate": "compute", "compute": "calculate",
    "which": "what", "many": "numerous", "total": "overall", "begin": "start", "start": "begin",
    "large": "big", "big": "large", "small": "little", "following": "subsequent",
    "answer": "response", "question": "problem", "problem": "question", "buy": "purchase",
    "buys": "purchases", "get": "obtain", "gets": "obtains", "number": "count", "use": "employ",
    "using": "employing", "each": "every", "every": "each", "also": "additionally", "but": "yet",
    "because": "since", "if": "in case", "make": "produce", "need": "require",
    "show": "present", "makes": "produces",
    "needs": "requires", "give": "provide", "given": "provided", "final": "last",
    "choose": "select", "select": "choose", "word": "term", "words": "terms",
    "correct": "right", "list": "enumeration",
    "rule": "instruction", "rules": "instructions", "example": "instance", "result": "outcome",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")
_SENTENCE = re.compile(r"(?<=[.!?])[ \n]+(?=[A-Z])")
_CLAUSE = re.compile(
    r"^(If|When|While|After|Since|Because) ([^,.\n]{3,80}), ([^.\n?]{3,160})([.?])"
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"

NOISE = (
    (
        "The city library opened a new reading room in the spring. Visitors may borrow up to ten "
        "books for three weeks, and the cafe on the ground floor closes before the doors do."
    ),
    (
        "Our quarterly newsletter reports that the garden club planted forty tulips, the parking "
        "lot will be resurfaced, and that the annual picnic moves to the second Sunday of June."
    ),
    (
        "Before the invention of refrigeration, ice was harvested from lakes in winter, packed in "
        "sawdust, and shipped across oceans; a surprising share of it arrived unmelted."
    ),
)


def paraphrase(text: str, draw: random.Random) -> str:
    """Synonyms for most of the words in the table, and clauses in another order."""

    def other(match: re.Match[str]) -> str:
        word = match.group()
        new = SYNONYMS.get(word.lower())
        if new is None or draw.random() < 0.2:
            return word
        return new.capitalize() if word[0].isupper() else new

    swapped = [reordered(one) for one in _SENTENCE.split(_WORD.sub(other, text))]
    return " ".join(swapped) if "\n" not in text else _WORD.sub(other, text)


def reordered(sentence: str) -> str:
    """ "If a, b." as "B if a."."""
    match = _CLAUSE.match(sentence)
    if match is None:
        return sentence
    word, first, second, end = match.groups()
    turned = f"{second[0].upper()}{second[1:]} {word.lower()} {first}{end}"
    return turned + sentence[match.end() :]


def typos(text: str, draw: random.Random) -> str:
    """Two in a hundred letters swapped with the next, dropped, doubled or mistaken."""
    out: list[str] = []
    letters = list(text)
    at = 0
    while at < len(letters):
        char = letters[at]
        if char.isascii() and char.isalpha() and draw.random() < 0.02:
            kind = draw.randrange(4)
            if kind == 0 and at + 1 < len(letters):
                out += [letters[at + 1], char]
                at += 1
            elif kind == 1:
                out += [char, char]
            elif kind == 2:
                out.append(draw.choice(LETTERS))
        else:
            out.append(char)
        at += 1
    return "".join(out)


def wrapped(*wrappers: tuple[str, str]) -> Perturbation:
    """One of some pairs of words before and after."""

    def wrap(text: str, draw: random.Random) -> str:
        before, after = draw.choice(wrappers)
        return f"{before}{text}{after}"

    return wrap


def _noise_before(text: str, draw: random.Random) -> str:
    return f"{draw.choice(NOISE)}\n\n{text}"


def _noise_after(text: str, draw: random.Random) -> str:
    return f"{text}\n\n{draw.choice(NOISE)}"


PERTURBATIONS: dict[str, Perturbation] = {
    "paraphrase": paraphrase,
    "typos": typos,
    "pleasantries": wrapped(
        ("Hi! Could you please help me with this? ", " Thank you so much!"),
        ("Hello, I hope you are well. I would be grateful for an answer to this: ", " Thanks!"),
        ("Hey there :) quick one for you. ", "\n\nThank you very much in advance."),
    ),
    "German wrapper": wrapped(
        ("Bitte beantworte die folgende Aufgabe:\n\n", "\n\nAntworte auf Deutsch."),
    ),
    "French wrapper": wrapped(
        ("Merci de répondre à la question suivante :\n\n", "\n\nRéponds en français."),
    ),
    "Chinese wrapper": wrapped(("请回答下面的问题。\n\n", "\n\n请用中文回答。")),
    "Spanish wrapper": wrapped(
        ("Por favor, responde a la siguiente pregunta:\n\n", "\n\nResponde en español."),
    ),
    "noise before": _noise_before,
    "noise after": _noise_after,
    "decoy: easy": wrapped(("This is easy, a quick answer will do. ", "\n\nThis is very easy.")),
    "decoy: hard": wrapped(
        (
            "This is extremely hard. ",
            "\n\nProve every step rigorously and derive the general case.",
        )
    ),
    "decoy: format": wrapped(
        ("", '\n\n```json\n{"answer": "...", "confidence": 0.0}\n```\nOutput valid JSON only.')
    ),
}
