"""The one-to-one assignment of maximal total similarity, exact, without the dense matrix, and with its proof.

Candidates above thresholds give an assignment and dual prices (kindred.matching.sparse_assignment). By linear duality
the prices bound the total of every matching, provided that no pair at all is worth more than what its row is left with
plus what its column costs. A threshold shows that for most rows; the others are compared with every column at these
prices. Whatever pair is worth more becomes a candidate, and the prices are settled anew, until there is none.

Sources: Kuhn 1955 and Munkres 1957 for the duality; pricing out columns that were left aside: Dantzig & Wolfe 1960.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.matching.candidates import Thresholds, collect, thresholds
from kindred.matching.comparison import Comparison, Pairs
from kindred.matching.sparse_assignment import Prices, settle

TOLERANCE = 1e-12  # by which rounding may make a pair worth more than its prices
_MORE_CANDIDATES = 16  # of a row that is compared with every column; doubled in each round


@dataclass(frozen=True, eq=False)
class Assignment:
    """A matching and the proof that no other has a larger total.

    Attributes:
        left: Matched left features, ascending, int64 [n].
        right: Their partners, int64 [n].
        total: Sum of the similarities of the pairs.
        upper_bound: What the total of no matching exceeds, by the prices.
        price_left: float64 [n_left].
        price_right: float64 [n_right]; ``price_left[i] + price_right[j]`` is at least the similarity of i and j for
            every pair, up to rounding, and equals it for each matched pair.
        nearest_left: Each left feature's largest similarity, [n_left].
        nearest_right: Each right feature's largest similarity, [n_right].
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    total: float
    upper_bound: float
    price_left: NDArray[np.float64]
    price_right: NDArray[np.float64]
    nearest_left: NDArray[np.float64]
    nearest_right: NDArray[np.float64]

    @property
    def gap(self) -> float:
        """By how much the total could fall short of the largest one: nothing but rounding."""
        return max(self.upper_bound - self.total, 0.0)


def assign(left: NDArray[np.float64], right: NDArray[np.float64], *, device: str = "cpu") -> Assignment:
    """Match left with right features one to one, so that the sum of their similarities is as large as can be.

    The smaller side is matched whole. The result is a function of the directions alone, the same at any number of
    threads and on any processor. Features with bit-identical directions, the ties that occur in practice, cannot be
    told apart by any total; among them the lowest indices are matched, and each left feature in ascending order gets
    the lowest right feature that keeps the total.

    Args:
        left: Unit rows, [n_left, d].
        right: Unit rows, [n_right, d].
        device: Where the blocks of similarities are computed.
    """
    comparison = Comparison(left, right, device=device)
    swapped = len(left) > len(right)
    search = _Search(comparison.transposed() if swapped else comparison)
    search.run()
    column_of = search.prices.column_of
    matched = np.arange(len(column_of)), column_of
    sides = matched[::-1] if swapped else matched
    prices = [search.prices.of_row, search.prices.of_column]
    price_left, price_right = prices[::-1] if swapped else prices
    nearest = [search.nearest_of_rows(), search.nearest_of_columns()]
    nearest_left, nearest_right = nearest[::-1] if swapped else nearest
    lowest_left, lowest_right = lowest_indices(sides[0], sides[1], _classes(left), _classes(right))
    return Assignment(
        left=lowest_left,
        right=lowest_right,
        total=search.total(),
        upper_bound=search.upper_bound(),
        price_left=price_left,
        price_right=price_right,
        nearest_left=nearest_left,
        nearest_right=nearest_right,
    )


class _Search:
    """Candidates, prices, and for each row what is known of the pairs that are no candidates.

    Of row i it is known that its similarity with a column j which is no candidate is at most
    ``bound[i] + known_at[seen_at[i]][j]``, where ``known_at`` are the column prices of past rounds (all 0 at first).
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.above: Thresholds = thresholds(comparison)
        self.candidates = self.collected = collect(comparison, self.above)
        n_rows, n_columns = comparison.shape
        self.prices = Prices.none_yet(n_rows, n_columns)
        self.bound = self.above.of_row.copy()
        self.seen_at = np.zeros(n_rows, dtype=np.int64)
        self.known_at = [np.zeros(n_columns)]
        self.n_rounds = 0

    def run(self) -> None:
        """Settle prices and look for pairs that are worth more, until there is none."""
        while True:
            n_stranded = settle(self.candidates, self.prices)
            doubtful = np.flatnonzero(self._others() > self.prices.of_row + TOLERANCE)
            if not len(doubtful) and not n_stranded:
                return
            n_more = _MORE_CANDIDATES << self.n_rounds
            self.n_rounds += 1
            found, self.bound[doubtful] = self.comparison.best_of(doubtful, self.prices.of_column, n_more)
            self.known_at.append(self.prices.of_column.copy())
            self.seen_at[doubtful] = self.n_rounds
            self._add(found)

    def _others(self) -> NDArray[np.float64]:
        """Return what each row's margin over the columns that are no candidates is at most, [row]."""
        change = np.array([(self.prices.of_column - known).min(initial=0.0) for known in self.known_at])
        others: NDArray[np.float64] = self.bound - change[self.seen_at]
        return others

    def _add(self, found: Pairs) -> None:
        """Make pairs candidates, and take the columns from the rows that one of them suits better."""
        self.candidates = self.candidates.with_pairs(found)
        n_rows, n_columns = self.comparison.shape
        if n_rows < n_columns:
            # A column that costs something must stay matched, so prices cannot be kept.
            self.prices = Prices.none_yet(n_rows, n_columns)
            return
        better = self.candidates.largest_margins(self.prices.of_column) > self.prices.of_row + TOLERANCE
        self.prices.release(np.flatnonzero(better))

    def total(self) -> float:
        """Sum of the similarities of the matched pairs."""
        rows = np.arange(len(self.prices.column_of))
        return math.fsum(self.candidates.of(rows, self.prices.column_of))

    def upper_bound(self) -> float:
        """What these prices prove of every matching; rounding counted as if it were worth something."""
        margins = np.maximum(self.candidates.largest_margins(self.prices.of_column), self._others())
        return math.fsum([*margins, *self.prices.of_column])

    def nearest_of_rows(self) -> NDArray[np.float64]:
        """Return each row's largest similarity with any column, [row]."""
        largest = self.collected.largest_margins(np.zeros(self.comparison.shape[1]))
        return _nearest(self.comparison, largest, self.above.of_row)

    def nearest_of_columns(self) -> NDArray[np.float64]:
        """Return each column's largest similarity with any row, [column]."""
        largest = np.full(self.comparison.shape[1], -np.inf)
        np.maximum.at(largest, self.collected.column, self.collected.similarity)
        return _nearest(self.comparison.transposed(), largest, self.above.of_column)


def _nearest(
    comparison: Comparison, largest: NDArray[np.float64], threshold: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each row's largest similarity: that of its candidates if it exceeds the threshold, else among all."""
    unknown = np.flatnonzero(largest <= threshold)
    found, _ = comparison.best_of(unknown, np.zeros(comparison.shape[1]), 1)
    nearest = largest.copy()
    nearest[found.row] = found.similarity
    return nearest


def lowest_indices(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    left_class: NDArray[np.int64],
    right_class: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rearrange a matching among interchangeable features to its lexicographically smallest form.

    Features of one class are interchangeable; how many pairs join two classes is left as it is.

    Args:
        left: Matched left features, [n].
        right: Their partners, [n].
        left_class: Class of each left feature, [n_left].
        right_class: Class of each right feature, [n_right].

    Returns:
        Left indices, ascending, and the right index of each.
    """
    if len(np.unique(left_class)) == len(left_class) and len(np.unique(right_class)) == len(right_class):
        order = np.argsort(left)  # nothing is interchangeable
        return left[order], right[order]
    partners: dict[int, list[int]] = defaultdict(
        list
    )  # of a left class: the classes of its pairs' right features
    for class_left, class_right in zip(left_class[left], right_class[right], strict=True):
        partners[int(class_left)].append(int(class_right))
    free: dict[int, list[int]] = defaultdict(list)  # right features of a class, lowest last
    for feature in range(len(right_class) - 1, -1, -1):
        free[int(right_class[feature])].append(feature)
    pairs = []
    for feature, of_class in enumerate(left_class):
        classes = partners[int(of_class)]
        if classes:
            best = min(classes, key=lambda class_right: free[class_right][-1])
            classes.remove(best)
            pairs.append((feature, free[best].pop()))
    matched = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return matched[:, 0], matched[:, 1]


def _classes(directions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the features so that those with bit-identical directions share a number."""
    classes = np.arange(len(directions))
    _, group, size = np.unique(directions[:, 0], return_inverse=True, return_counts=True)
    seen: dict[bytes, int] = {}
    for feature in np.flatnonzero(size[group] > 1).tolist():  # alike in their first number at least
        classes[feature] = seen.setdefault(directions[feature].tobytes(), feature)
    return classes
