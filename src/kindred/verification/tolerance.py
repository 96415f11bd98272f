"""The stated tolerance: by how much a number may move on another kind of processor and still be called equal.

Source: docs/methods.md, section 8.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """Two numbers agree if they differ by at most `absolute`, or by `relative` times the larger one's size.

    Texts, and the numbers of a column that holds nothing but integers (counts, ranks, features), agree only if they
    are equal.
    """

    relative: float
    absolute: float

    def agree(self, one: float, other: float) -> bool:
        """Whether two numbers are equal within the tolerance; symmetric, and nan agrees with nothing.

        >>> Tolerance(relative=1e-3, absolute=1e-4).agree(0.5, 0.5004)
        True
        >>> Tolerance(relative=1e-3, absolute=1e-4).agree(0.5, 0.501)
        False
        """
        if one == other:
            return True
        return abs(one - other) <= max(self.absolute, self.relative * max(abs(one), abs(other)))

    def __str__(self) -> str:
        return f"relative {self.relative:g} or absolute {self.absolute:g}; texts and counts exactly"


STATED = Tolerance(relative=1e-3, absolute=1e-4)
EXACT = Tolerance(relative=0.0, absolute=0.0)
