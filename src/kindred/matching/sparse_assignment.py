"""The assignment of largest total over a sparse set of candidate pairs, with the prices that prove it.

Auction steps without a slack (Bertsekas 1988) assign most rows, shortest augmenting paths the rest (Jonker & Volgenant
1987); both keep the prices dual feasible: ``of_row[i] + of_column[j] >= similarity(i, j)`` on every candidate, with
equality on every chosen pair. The heap is the textbook's, with the place of each column in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.compiled import compiled
from kindred.matching.candidates import Candidates

UNASSIGNED = -1
BIDS_PER_ROW = 5  # of the auction; beyond, few rows fight for few columns and paths settle it faster
BEYOND_REACH = 4.0  # more than any two similarities differ

_UNSEEN, _DONE = -1, -2  # places in the heap


@dataclass(frozen=True, eq=False)
class Prices:
    """A matching under way and its dual prices, changed in place.

    Attributes:
        of_row: What a row is left with once it has paid for its column, float64 [row].
        of_column: What a column costs, float64 [column]; 0 as long as no row was ever matched to it.
        column_of: The column matched to each row, int64 [row]; -1 if there is none.
        row_of: The row matched to each column, int64 [column]; -1 if there is none.
    """

    of_row: NDArray[np.float64]
    of_column: NDArray[np.float64]
    column_of: NDArray[np.int64]
    row_of: NDArray[np.int64]

    @classmethod
    def none_yet(cls, n_rows: int, n_columns: int) -> "Prices":
        """Everything free, nobody matched."""
        return cls(
            np.zeros(n_rows),
            np.zeros(n_columns),
            np.full(n_rows, UNASSIGNED, dtype=np.int64),
            np.full(n_columns, UNASSIGNED, dtype=np.int64),
        )

    def release(self, rows: NDArray[np.int64]) -> None:
        """Take the columns from some rows; what the columns cost stays."""
        columns = self.column_of[rows]
        self.row_of[columns[columns >= 0]] = UNASSIGNED
        self.column_of[rows] = UNASSIGNED


def settle(candidates: Candidates, prices: Prices) -> int:
    """Match every row that can be, and return how many cannot with these candidates.

    Rows that cannot be matched, and whatever row stands in their way, end with a price so low that any candidate which
    is still missing would change it: whoever looks for missing candidates at these prices finds those that help.

    Args:
        candidates: The pairs that count.
        prices: Where to begin. With fewer rows than columns a column that costs something must be matched.
    """
    left_over = _bid(
        candidates.indptr,
        candidates.column,
        candidates.similarity,
        prices.of_row,
        prices.of_column,
        prices.column_of,
        prices.row_of,
        BIDS_PER_ROW * len(prices.of_row),
    )
    return _augment(
        candidates.indptr,
        candidates.column,
        candidates.similarity,
        prices.of_row,
        prices.of_column,
        prices.column_of,
        prices.row_of,
        left_over,
    )


@compiled
def _bid(
    indptr: NDArray[np.int64],
    column: NDArray[np.int32],
    similarity: NDArray[np.float64],
    of_row: NDArray[np.float64],
    of_column: NDArray[np.float64],
    column_of: NDArray[np.int64],
    row_of: NDArray[np.int64],
    most: int,
) -> NDArray[np.int64]:
    """Let unmatched rows, lowest first, bid for their best column up to the worth of their second best."""
    waiting = np.empty(len(of_row), np.int64)
    n_waiting = 0
    for row in range(len(of_row) - 1, -1, -1):
        if column_of[row] < 0:
            waiting[n_waiting] = row
            n_waiting += 1
    left_over = np.empty(len(of_row), np.int64)
    n_left = 0
    n_bids = 0
    while n_waiting > 0:
        n_waiting -= 1
        row = waiting[n_waiting]
        best, second = -np.inf, -np.inf
        wanted, other = -1, -1
        for edge in range(indptr[row], indptr[row + 1]):
            margin = similarity[edge] - of_column[column[edge]]
            if margin > best:
                second, other = best, wanted
                best, wanted = margin, column[edge]
            elif margin > second:
                second, other = margin, column[edge]
        if wanted >= 0 and best == second and row_of[wanted] >= 0:
            wanted = other  # as good, and perhaps free
        pays = other >= 0 and best > second
        n_bids += 1
        if wanted < 0 or n_bids > most or (row_of[wanted] >= 0 and not pays):
            left_over[n_left] = row
            n_left += 1
            continue
        of_row[row] = second if pays else best
        if pays:
            of_column[wanted] += best - second
        if row_of[wanted] >= 0:
            waiting[n_waiting] = row_of[wanted]
            n_waiting += 1
            column_of[row_of[wanted]] = -1
        row_of[wanted] = row
        column_of[row] = wanted
    return left_over[:n_left]


@compiled
def _rise(heap: NDArray[np.int64], place: NDArray[np.int64], distance: NDArray[np.float64], at: int) -> None:
    """Move a column towards the top of the heap until what is above it is no farther."""
    column = heap[at]
    while at > 0 and distance[heap[(at - 1) >> 1]] > distance[column]:
        heap[at] = heap[(at - 1) >> 1]
        place[heap[at]] = at
        at = (at - 1) >> 1
    heap[at] = column
    place[column] = at


@compiled
def _sink(
    heap: NDArray[np.int64], place: NDArray[np.int64], distance: NDArray[np.float64], size: int, at: int
) -> None:
    """Move a column away from the top of the heap until what is below it is no nearer."""
    column = heap[at]
    while True:
        below = 2 * at + 1
        if below + 1 < size and distance[heap[below + 1]] < distance[heap[below]]:
            below += 1
        if below >= size or distance[heap[below]] >= distance[column]:
            break
        heap[at] = heap[below]
        place[heap[at]] = at
        at = below
    heap[at] = column
    place[column] = at


@compiled
def _reach(
    columns: NDArray[np.int32],
    losses: NDArray[np.float64],
    so_far: float,
    row: int,
    row_of: NDArray[np.int64],
    distance: NDArray[np.float64],
    reached_from: NDArray[np.int64],
    place: NDArray[np.int64],
    heap: NDArray[np.int64],
    size: int,
    nearest_free: float,
) -> tuple[int, float]:
    """Put the columns that a row leads to into the heap; return its size and the distance of the nearest free one."""
    for index in range(len(columns)):
        column = columns[index]
        reach = so_far + max(losses[index], 0.0)  # a loss is below zero by rounding alone
        if place[column] == _DONE or reach >= distance[column] or reach >= nearest_free:
            continue
        if place[column] == _UNSEEN:
            heap[size] = column
            place[column] = size
            size += 1
        distance[column] = reach
        reached_from[column] = row
        _rise(heap, place, distance, place[column])
        if row_of[column] < 0:
            nearest_free = reach
    return size, nearest_free


@compiled
def _augment(
    indptr: NDArray[np.int64],
    column: NDArray[np.int32],
    similarity: NDArray[np.float64],
    of_row: NDArray[np.float64],
    of_column: NDArray[np.float64],
    column_of: NDArray[np.int64],
    row_of: NDArray[np.int64],
    free: NDArray[np.int64],
) -> int:
    """Match each free row along a path of least loss, found by Dijkstra's algorithm; return how many could not be."""
    n_columns = len(of_column)
    distance = np.full(n_columns, np.inf)
    reached_from = np.empty(n_columns, np.int64)
    place = np.full(n_columns, _UNSEEN)
    heap = np.empty(n_columns, np.int64)
    done = np.empty(n_columns, np.int64)
    n_stranded = 0
    for start in free:
        edges = slice(indptr[start], indptr[start + 1])
        margins = similarity[edges] - of_column[column[edges]]
        of_row[start] = margins.max() if len(margins) else -BEYOND_REACH
        size, n_done, row, so_far, nearest_free, end = 0, 0, start, 0.0, np.inf, -1
        while end < 0:
            edges = slice(indptr[row], indptr[row + 1])
            losses = of_row[row] + of_column[column[edges]] - similarity[edges]
            size, nearest_free = _reach(
                column[edges],
                losses,
                so_far,
                row,
                row_of,
                distance,
                reached_from,
                place,
                heap,
                size,
                nearest_free,
            )
            if size == 0:
                break
            nearest = heap[0]
            size -= 1
            heap[0] = heap[size]
            if size > 0:
                _sink(heap, place, distance, size, 0)
            place[nearest] = _DONE
            done[n_done] = nearest
            n_done += 1
            row, so_far = row_of[nearest], distance[nearest]
            if row < 0:
                end = nearest
        length = so_far if end >= 0 else so_far + BEYOND_REACH
        n_stranded += end < 0
        of_row[start] -= length
        for passed in done[:n_done]:
            if passed != end:
                of_row[row_of[passed]] -= length - distance[passed]
                of_column[passed] += length - distance[passed]
        while end >= 0:
            row = reached_from[end]
            row_of[end] = row
            end, column_of[row] = column_of[row], end
            if row == start:
                break
        for seen in done[:n_done]:
            distance[seen], place[seen] = np.inf, _UNSEEN
        for seen in heap[:size]:
            distance[seen], place[seen] = np.inf, _UNSEEN
    return n_stranded
