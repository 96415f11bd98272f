"""Candidate pairs of features: few of all pairs, held row by row with their exact similarities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.compiled import compiled
from kindred.matching.comparison import Comparison, Pairs

PER_FEATURE = 64  # candidates that a threshold lets through, about, for each row and again for each column
_RANK = 4  # of a threshold within its sample, where the dictionaries are large
_GRID = 1024  # thresholds are multiples of 1 / 1024, so that the last bits of a sample decide nothing
_LEAST_THRESHOLD = 1 / 64  # below, a pair is no candidate unless prices call for it


@dataclass(frozen=True, eq=False)
class Candidates:
    """A sparse matrix of similarities, row by row.

    Attributes:
        indptr: Where each row begins and ends, int64 [row + 1].
        column: Columns, ascending within a row, int32 [candidate].
        similarity: Exact similarities, float64 [candidate].
    """

    indptr: NDArray[np.int64]
    column: NDArray[np.int32]
    similarity: NDArray[np.float64]

    @classmethod
    def of_pairs(cls, pairs: Pairs, shape: tuple[int, int]) -> "Candidates":
        """Order pairs by row; those of one row come by column."""
        indptr = np.zeros(shape[0] + 1, dtype=np.int64)
        np.cumsum(np.bincount(pairs.row, minlength=shape[0]), out=indptr[1:])
        return cls(indptr, *_placed(indptr[:-1].copy(), pairs.row, pairs.column, pairs.similarity))

    @property
    def row(self) -> NDArray[np.int64]:
        """The row of each candidate, int64 [candidate]."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def with_pairs(self, pairs: Pairs) -> "Candidates":
        """These candidates and others, some of which may be among them already."""
        n_columns = int(max(self.column.max(initial=0), pairs.column.max(initial=0))) + 1
        unique = np.unique(pairs.row * n_columns + pairs.column, return_index=True)[1]
        more = Candidates.of_pairs(pairs.take(unique), (len(self.indptr) - 1, n_columns))
        return Candidates(
            *_merged(self.indptr, self.column, self.similarity, more.indptr, more.column, more.similarity)
        )

    def largest_margins(self, prices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each row's largest similarity minus price over its candidates, minus infinity without any, [row]."""
        margins = np.full(len(self.indptr) - 1, -np.inf)
        some = np.diff(self.indptr) > 0
        if some.any():
            margin = self.similarity - prices[self.column]
            margins[some] = np.maximum.reduceat(margin, self.indptr[:-1][some])
        return margins

    def of(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the similarities of pairs that are candidates, [pair]."""
        return _found(self.indptr, self.column, self.similarity, rows, columns)


@compiled
def _found(
    indptr: NDArray[np.int64],
    column: NDArray[np.int32],
    similarity: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float64]:
    found = np.empty(len(rows))
    for pair in range(len(rows)):
        first, stop = indptr[rows[pair]], indptr[rows[pair] + 1]
        found[pair] = similarity[first + np.searchsorted(column[first:stop], columns[pair])]
    return found


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Above which a pair is a candidate: of its row, or of its column.

    Attributes:
        of_row: [row].
        of_column: [column].
    """

    of_row: NDArray[np.float64]
    of_column: NDArray[np.float64]


def thresholds(comparison: Comparison) -> Thresholds:
    """Estimate from samples the similarity that about ``PER_FEATURE`` pairs of each row, and of each column, exceed."""
    return Thresholds(_of_rows(comparison), _of_rows(comparison.transposed()))


def _of_rows(comparison: Comparison) -> NDArray[np.float64]:
    n_columns = comparison.shape[1]
    n_sampled = min(n_columns, max(PER_FEATURE, _RANK * n_columns // PER_FEATURE))
    sampled = np.random.default_rng(0).choice(n_columns, n_sampled, replace=False)
    rank = -(-PER_FEATURE * n_sampled // n_columns)
    quantile = comparison.sampled_quantile(np.sort(sampled), min(rank, n_sampled))
    return np.maximum(np.floor(quantile * _GRID) / _GRID, _LEAST_THRESHOLD)


def collect(comparison: Comparison, above: Thresholds) -> Candidates:
    """Find all pairs above the threshold of their row or of their column."""
    pairs = Pairs.joined(list(comparison.above(above.of_row, above.of_column)))
    return Candidates.of_pairs(pairs, comparison.shape)


@compiled
def _placed(
    cursor: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    similarity: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Put each pair where the next one of its row belongs."""
    placed = np.empty(len(row), np.int32), np.empty(len(row))
    for pair in range(len(row)):
        to = cursor[row[pair]]
        cursor[row[pair]] += 1
        placed[0][to], placed[1][to] = column[pair], similarity[pair]
    return placed


@compiled
def _merged(
    indptr: NDArray[np.int64],
    column: NDArray[np.int32],
    similarity: NDArray[np.float64],
    more_indptr: NDArray[np.int64],
    more_column: NDArray[np.int32],
    more_similarity: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Merge two sets of candidates row by row; what is in both is taken once."""
    merged_indptr = np.zeros_like(indptr)
    merged_column = np.empty(len(column) + len(more_column), np.int32)
    merged = np.empty(len(column) + len(more_column))
    to = 0
    for row in range(len(indptr) - 1):
        one, other = indptr[row], more_indptr[row]
        while one < indptr[row + 1] or other < more_indptr[row + 1]:
            ahead = other == more_indptr[row + 1] or (
                one < indptr[row + 1] and column[one] <= more_column[other]
            )
            if ahead:
                if other < more_indptr[row + 1] and column[one] == more_column[other]:
                    other += 1
                merged_column[to], merged[to] = column[one], similarity[one]
                one += 1
            else:
                merged_column[to], merged[to] = more_column[other], more_similarity[other]
                other += 1
            to += 1
        merged_indptr[row + 1] = to
    return merged_indptr, merged_column[:to].copy(), merged[:to].copy()
