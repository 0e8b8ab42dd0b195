"""Requests of a job, and a scorer that knows how long their answers are, for tests of totals."""

from classifiers.scores import Quantiles, Score

LENGTHS = Quantiles(50, 100, 300, 400, 120)
NONE = Quantiles(0, 0, 0, 0, 0)


class Fixed:
    """Every answer takes about 100 tokens, half of them reasoning where told so."""

    def __init__(self, *, visible=None, basis="route", reasoning=NONE):
        self.visible, self.basis, self.reasoning = visible, basis, reasoning

    def score(self, prompt, profiles, *, tenant=""):
        return {
            p: Score(
                0.5,
                LENGTHS,
                self.reasoning,
                "trained",
                visible_tokens=self.visible,
                tokens_basis=self.basis,
            )
            for p in profiles
        }


def asks(n):
    return ([{"role": "user", "content": f"What colour has zebra {i}?"}] for i in range(n))
