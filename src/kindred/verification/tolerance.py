"""The stated tolerance: by how much a number may move on another kind of processor and still be called equal.

Source: docs/methods.md, section 8, with what was measured.
"""

import re
from dataclasses import dataclass, replace

# AUROCs, their nulls and what is computed of them: exchanging one test context of 100 moves an AUROC by up to 0.01.
_SCORE = re.compile(
    r"auroc|null_|swap|eleuther|p_value|share_above|^(median_(first|second)|difference|low|high)$"
)
# Measured counts: an activation in the last bits above zero is one more or one less.
_COUNT = re.compile(r"n_(tokens|contexts)_active")


@dataclass(frozen=True)
class Tolerance:
    """Two numbers agree if they differ by at most `absolute`, or by `relative` times the larger one's size.

    Texts, and the numbers of a column that holds nothing but integers (ranks, features), agree only if they are equal.

    Attributes:
        relative: Of any number.
        absolute: Of any number.
        scores: The same, of AUROCs, nulls and what is computed of them.
        counts: The same, of how often a feature fires.
        integers: Whether it holds for integers, too.
    """

    relative: float
    absolute: float
    scores: float = 0.0
    counts: float = 0.0
    integers: bool = False

    def of(self, column: str) -> "Tolerance":
        """The tolerance of one column of a table, or of the leaves of one name in a JSON file."""
        if _SCORE.search(column.rpartition(".")[2]) or _SCORE.search(column):
            return replace(self, absolute=max(self.absolute, self.scores))
        if _COUNT.search(column):
            return replace(self, absolute=self.counts, integers=True)
        return self

    def agree(self, one: float, other: float) -> bool:
        """Whether two numbers are equal within the tolerance; symmetric, and nan agrees with nothing.

        >>> Tolerance(relative=1e-3, absolute=1e-4).agree(0.5, 0.5004)
        True
        >>> Tolerance(relative=1e-3, absolute=1e-4).agree(0.5, 0.501)
        False
        """
        if one == other:
            return True
        return abs(one - other) <= max(self.absolute, self.relative * max(abs(one), abs(other))) * (1 + 1e-9)

    def __str__(self) -> str:
        scores = f" ({self.scores:g} for scores and nulls, {self.counts:g} for counts)" if self.scores else ""
        return f"relative {self.relative:g} or absolute {self.absolute:g}{scores}; texts exactly"


STATED = Tolerance(relative=1e-3, absolute=1e-4, scores=0.01, counts=1.0)
EXACT = Tolerance(relative=0.0, absolute=0.0)
