"""All similarities of two dictionaries, tile by tile: bounded fast, exact where it matters, never all at once.

A tile is computed in the precision in which the processor is fastest, and a bound on its error says which pairs could
lie above a threshold; those few are computed again in float64, in a fixed order of summation. So what comes out is the
same on every processor, at any number of threads, whatever the fast precision was. (Error of a dot product: Higham,
Accuracy and Stability of Numerical Algorithms, section 3.1.)
"""

import copy
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kindred.compiled import compiled

TILE_ROWS, TILE_COLUMNS = 2048, 8192  # similarities that exist at once: 64 MiB of float32
_FLOAT32_ROUNDING = 2.0**-24
_BFLOAT16_ROUNDING = 2.0**-8
_LEAST_FOR_BFLOAT16 = 4096  # features; below, converting costs more than it saves


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a row and a column with their exact similarity.

    Attributes:
        row: int64 [pair].
        column: int64 [pair].
        similarity: float64 [pair].
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    similarity: NDArray[np.float64]

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.row[which], self.column[which], self.similarity[which])

    @staticmethod
    def joined(parts: list["Pairs"]) -> "Pairs":
        """Put pairs one after another."""
        if not parts:
            return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        return Pairs(*(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])))


class Comparison:
    """Similarities, that is products, of unit rows of two dictionaries.

    Attributes:
        rows: float64 [row, d].
        columns: float64 [column, d].
    """

    def __init__(
        self, rows: NDArray[np.float64], columns: NDArray[np.float64], *, device: str = "cpu"
    ) -> None:
        self.rows, self.columns = rows, columns
        dtype = _fast_dtype(device, min(len(rows), len(columns)))
        self._device = torch.device(device)
        self._row_tensor, row_error = _rounded(rows, dtype, device)
        self._column_tensor, column_error = _rounded(columns, dtype, device)
        sizes = (1 + row_error) * (1 + column_error)
        summation = rows.shape[1] * _FLOAT32_ROUNDING * sizes
        # What the fast tiles miss by before their own rounding, and what that rounding takes, in proportion.
        self._error = row_error + column_error * (1 + row_error) + summation
        self._proportion = _BFLOAT16_ROUNDING if dtype == torch.bfloat16 else _FLOAT32_ROUNDING

    def transposed(self) -> "Comparison":
        """The same with rows and columns exchanged; nothing is copied."""
        other = copy.copy(self)
        other.rows, other.columns = self.columns, self.rows
        other._row_tensor, other._column_tensor = self._column_tensor, self._row_tensor
        return other

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self.rows), len(self.columns)

    def exact(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the similarity of each pair in float64, summed in a fixed order, [pair]."""
        return products(self.rows, self.columns, row, column)

    def sampled_quantile(self, columns: NDArray[np.int64], rank: int) -> NDArray[np.float64]:
        """Return for each row its ``rank`` th largest similarity with some columns, in float64, [row]."""
        others = torch.from_numpy(self.columns[columns]).to(self._device)
        largest = np.empty(len(self.rows))
        for start in range(0, len(self.rows), TILE_ROWS):
            own = torch.from_numpy(self.rows[start : start + TILE_ROWS]).to(self._device)
            largest[start : start + TILE_ROWS] = _ranked((own @ others.T).cpu().numpy(), rank)
        return largest

    def above(
        self,
        row_threshold: NDArray[np.float64],
        column_threshold: NDArray[np.float64],
    ) -> Iterator[Pairs]:
        """Yield all pairs whose similarity exceeds the threshold of their row or that of their column.

        Args:
            row_threshold: [row], positive.
            column_threshold: [column], positive.
        """
        wide = self._widened(row_threshold), self._widened(column_threshold)
        for rows, columns, tile in self._tiles():
            row, column = positions_above(tile, wide[0][rows], wide[1][columns])
            found = self._with_similarity(rows[row], column + columns.start)
            exceeds = (found.similarity > row_threshold[found.row]) | (
                found.similarity > column_threshold[found.column]
            )
            yield found.take(exceeds)

    def _widened(self, threshold: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return what every fast similarity exceeds whose exact one exceeds a positive threshold, [...]."""
        widened = (threshold - self._error) * (1 - 2 * self._proportion)
        below: NDArray[np.float32] = np.maximum(widened * (1 - 2 * _FLOAT32_ROUNDING), 0).astype(np.float32)
        return below

    def _tiles(self) -> Iterator[tuple[NDArray[np.int64], slice, Tensor]]:
        """Yield the fast similarities of runs of rows with runs of columns; a tile is overwritten by the next."""
        n_rows, n_columns = self.shape
        buffer = self._row_tensor.new_empty(min(TILE_ROWS, n_rows) * min(TILE_COLUMNS, n_columns))
        for first in range(0, n_rows, TILE_ROWS):
            rows = np.arange(first, min(first + TILE_ROWS, n_rows))
            for start in range(0, n_columns, TILE_COLUMNS):
                columns = slice(start, min(start + TILE_COLUMNS, n_columns))
                shape = len(rows), columns.stop - columns.start
                tile = buffer[: shape[0] * shape[1]].view(shape)
                torch.mm(
                    self._row_tensor[first : first + len(rows)], self._column_tensor[columns].T, out=tile
                )
                yield rows, columns, tile

    def best_of(
        self, rows: NDArray[np.int64], prices: NDArray[np.float64], n_best: int
    ) -> tuple[Pairs, NDArray[np.float64]]:
        """Find the columns of the largest margin, similarity minus price, of some rows.

        Args:
            rows: The rows, [n].
            prices: Of the columns, [column].
            n_best: Columns of each row; of equal margins the lower columns.

        Returns:
            The pairs, by row, and what the margin of every other column of a row does not exceed, [n]; minus infinity
            where there is no other.
        """
        n_best = min(n_best, len(self.columns))
        step = max(1, TILE_ROWS * TILE_COLUMNS // len(self.columns))
        found: list[Pairs] = []
        bounds = np.full(len(rows), -np.inf)
        if not len(rows):
            return Pairs.joined([]), bounds
        is_kept = self._column_tensor.dtype == torch.float32
        columns = (
            self._column_tensor if is_kept else torch.from_numpy(self.columns).to(self._device, torch.float32)
        )
        paid = torch.from_numpy(prices).to(self._device, torch.float32)
        for start in range(0, len(rows), step):
            own = rows[start : start + step]
            of_rows = torch.from_numpy(self.rows[own]).to(self._device, torch.float32)
            margins = (of_rows @ columns.T).sub_(paid)
            # Rounding of both sides and the sum, of the price, and of the difference.
            error = (self.rows.shape[1] + 8) * _FLOAT32_ROUNDING + 4 * _FLOAT32_ROUNDING * float(
                paid.abs().max()
            )
            least = margins.topk(n_best, dim=1).values[:, -1:] - 2 * error
            places = (margins >= least).nonzero()
            pairs = self._with_similarity(own[places[:, 0].cpu().numpy()], places[:, 1].cpu().numpy())
            best, bound = _largest_margins(pairs, prices, own, n_best)
            found.append(best)
            bounds[start : start + step] = bound
        if n_best == len(self.columns):
            bounds[:] = -np.inf
        return Pairs.joined(found), bounds

    def _with_similarity(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> Pairs:
        return Pairs(row, column, self.exact(row, column))


def _largest_margins(
    pairs: Pairs, prices: NDArray[np.float64], rows: NDArray[np.int64], n_best: int
) -> tuple[Pairs, NDArray[np.float64]]:
    """Keep the ``n_best`` pairs of largest margin of each row, and return the least margin kept of each, [row].

    ``rows`` are in the order of the pairs, each with ``n_best`` pairs at least.
    """
    margin = pairs.similarity - prices[pairs.column]
    rank_of_row = np.searchsorted(np.sort(rows), pairs.row)
    order = np.lexsort((pairs.column, -margin, rank_of_row))
    begins = np.flatnonzero(np.diff(rank_of_row[order], prepend=-1))
    kept = (begins[:, None] + np.arange(n_best)).reshape(-1)
    return pairs.take(order[kept]), margin[order[begins + n_best - 1]]


def _fast_dtype(device: str, n_features: int) -> torch.dtype:
    """Return bfloat16 where the processor has units for its matrices, else float32."""
    has_units = device != "cpu" or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_units and n_features >= _LEAST_FOR_BFLOAT16 else torch.float32


def _rounded(rows: NDArray[np.float64], dtype: torch.dtype, device: str) -> tuple[Tensor, float]:
    """Return unit rows in another precision, and how far rounding has moved one at most."""
    rounded = torch.empty(rows.shape, dtype=dtype)
    for start in range(0, len(rows), TILE_ROWS):
        rounded[start : start + TILE_ROWS] = torch.from_numpy(rows[start : start + TILE_ROWS])
    if dtype == torch.float32:
        return rounded.to(device), 2 * _FLOAT32_ROUNDING
    value_of_bits = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    farthest = _farthest(rows, rounded.view(torch.int16).numpy().view(np.uint16), value_of_bits)
    return rounded.to(device), farthest * (1 + 1e-9)


@compiled
def _farthest(
    rows: NDArray[np.float64], bits: NDArray[np.uint16], value_of_bits: NDArray[np.float32]
) -> float:
    """Return the largest distance between a row and its bfloat16 form."""
    farthest = 0.0
    for row in range(len(rows)):
        distance = 0.0
        for at in range(rows.shape[1]):
            moved = rows[row, at] - value_of_bits[bits[row, at]]
            distance += moved * moved
        farthest = max(farthest, distance)
    return math.sqrt(farthest)


@compiled
def _ranked(values: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """Return the ``rank`` th largest value of each row, [row]."""
    ranked = np.empty(len(values))
    largest = np.empty(rank)
    for row in range(len(values)):
        largest[:] = -np.inf
        for value in values[row]:
            if value > largest[-1]:
                at = rank - 1
                while at > 0 and largest[at - 1] < value:
                    largest[at] = largest[at - 1]
                    at -= 1
                largest[at] = value
        ranked[row] = largest[-1]
    return ranked


def positions_above(
    tile: Tensor, row_threshold: NDArray[np.float32], column_threshold: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places in a tile that exceed the threshold of their row or of their column, by row.

    Compiled loops on the CPU, in as many threads as torch has; a mask on other devices.
    """
    return (scanned if tile.device.type == "cpu" else masked)(tile, row_threshold, column_threshold)


def masked(
    tile: Tensor, row_threshold: NDArray[np.float32], column_threshold: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the places on the tile's own device, by a mask of the tile's size."""
    of_row, of_column = (
        torch.from_numpy(values).to(tile.device) for values in (row_threshold, column_threshold)
    )
    row, column = (tile.float() > torch.minimum(of_row[:, None], of_column)).nonzero(as_tuple=True)
    return row.cpu().numpy(), column.cpu().numpy()


def scanned(
    tile: Tensor, row_threshold: NDArray[np.float32], column_threshold: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the places by compiled loops; of a bfloat16 tile also some whose threshold is nearer than its rounding."""
    values: NDArray[Any] = tile.numpy() if tile.dtype == torch.float32 else tile.view(torch.int16).numpy()
    least: list[NDArray[Any]] = [row_threshold, column_threshold]
    if tile.dtype == torch.bfloat16:
        # Positive bfloat16 numbers are in the order of their bits, and negative ones are negative integers.
        least = [(threshold.view(np.uint32) >> 16).astype(np.int16) for threshold in least]
    n_parts = torch.get_num_threads()
    bounds = np.linspace(0, len(values), n_parts + 1).astype(np.int64).tolist()

    def scan(part: int) -> NDArray[np.int64]:
        return _scan(values, least[0], least[1], bounds[part], bounds[part + 1])

    with ThreadPoolExecutor(n_parts) as pool:
        places = np.concatenate(list(pool.map(scan, range(n_parts))))
    return places // values.shape[1], places % values.shape[1]


@compiled
def _scan(
    values: NDArray[Any],
    row_threshold: NDArray[Any],
    column_threshold: NDArray[Any],
    first: int,
    stop: int,
) -> NDArray[np.int64]:
    """Return the flat places of values above a threshold within some rows, ascending."""
    n_columns = values.shape[1]
    places = np.empty(1 << 16, np.int64)
    n_places = 0
    for row in range(first, stop):
        if n_places + n_columns > len(places):
            grown = np.empty(2 * len(places) + n_columns, np.int64)
            grown[:n_places] = places[:n_places]
            places = grown
        of_row = row_threshold[row]
        for column in range(n_columns):
            if values[row, column] > min(of_row, column_threshold[column]):
                places[n_places] = row * n_columns + column
                n_places += 1
    return places[:n_places]


def products(
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the dot product of each pair of a row and a column, summed in a fixed order, [pair].

    Args:
        rows: [row, d].
        columns: [column, d].
        row: [pair].
        column: [pair].
    """
    n_parts = torch.get_num_threads()
    parts = zip(np.array_split(row, n_parts), np.array_split(column, n_parts), strict=True)
    with ThreadPoolExecutor(n_parts) as pool:
        done = pool.map(lambda part: _products(rows, columns, part[0], part[1]), parts)
        return np.concatenate(list(done))


@compiled
def _products(
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the dot product of each pair, four sums running side by side."""
    d = rows.shape[1]
    products = np.empty(len(row))
    for pair in range(len(row)):
        one, other = rows[row[pair]], columns[column[pair]]
        a, b, c, e = 0.0, 0.0, 0.0, 0.0
        at = 0
        while at + 4 <= d:
            a += one[at] * other[at]
            b += one[at + 1] * other[at + 1]
            c += one[at + 2] * other[at + 2]
            e += one[at + 3] * other[at + 3]
            at += 4
        while at < d:
            a += one[at] * other[at]
            at += 1
        products[pair] = (a + b) + (c + e)
    return products
