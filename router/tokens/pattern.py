"""DeepSeek V3's pre-tokenizer as one regular expression for tiktoken.

The model's tokenizer.json cuts a text three times in sequence: runs of one to three digits,
then runs of CJK ideographs and kana, then seven alternatives on whatever lies between. tiktoken
takes a single expression and drops what it does not match, so here each alternative is kept
inside its own territory (digits, CJK, the rest), the end of a territory counts as an end of
text, and runs that no alternative takes are pieces of their own, as they are there.
"""

from __future__ import annotations

_CJK = r"\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF"
# A space before a digit or an ideograph ends its territory: `\s+(?!\S)` must see an end there.
_REST = rf"[^\s\p{{N}}{_CJK}]"
_REST_WORD = rf"[[\p{{L}}\p{{M}}]&&[^{_CJK}]]"
_REST_MARK = rf"[[\p{{P}}\p{{S}}]&&[^{_CJK}]]"
_REST_LEAD = rf"[^\r\n\p{{L}}\p{{P}}\p{{S}}\p{{N}}{_CJK}]"
_REST_STRAY = rf"[^\s\p{{L}}\p{{M}}\p{{P}}\p{{S}}\p{{N}}{_CJK}]"
# The kana blocks hold more than letters: U+30FB is punctuation, U+3097 is not assigned.
_CJK_WORD = rf"[[\p{{L}}\p{{M}}]&&[{_CJK}]]"
_CJK_MARK = rf"[[\p{{P}}\p{{S}}]&&[{_CJK}]]"
_CJK_LEAD = rf"[[^\p{{L}}\p{{P}}\p{{S}}]&&[{_CJK}]]"
_CJK_STRAY = rf"[[^\p{{L}}\p{{M}}\p{{P}}\p{{S}}]&&[{_CJK}]]"

# Without lookaround: grouped, so that the engine runs them as one automaton (a third faster).
_PLAIN = "|".join(
    (
        r"\p{N}{1,3}",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+""",
        f"{_REST_LEAD}?{_REST_WORD}+",
        f"{_CJK_LEAD}?{_CJK_WORD}+",
        rf" ?{_REST_MARK}+[\r\n]*",
        f"{_CJK_MARK}+",
        r"\s*[\r\n]+",
    )
)

PATTERN = "|".join(
    (
        f"(?:{_PLAIN})",
        rf"\s+(?!{_REST})",
        r"\s+",
        # Controls, joiners, private and unassigned characters, up to one that leads a word.
        f"(?:{_REST_STRAY}(?!{_REST_WORD}))+",
        f"(?:{_CJK_STRAY}(?!{_CJK_WORD}))+",
    )
)
