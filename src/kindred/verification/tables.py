"""Comparing CSV tables cell by cell, rows told apart by their key columns.

Source: docs/methods.md, section 8.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kindred.errors import KindredError
from kindred.verification.differences import Cell, FileComparison, Gap, Row
from kindred.verification.rows import match_rows, name_row
from kindred.verification.tolerance import EXACT, Tolerance

# What tells the rows of each table apart, the tables of single features first. A pair is known by its features, not by
# its rank: where two near ties swap their ranks, two cells differ and not two rows.
KEYS = {
    "features.csv": ("sae", "feature"),
    "pairs.csv": ("pair", "group", "feature_left", "feature_right"),
    "scores.csv": ("sae", "feature", "method", "rank"),
    "baselines.csv": ("sae", "method"),
    "summary.csv": ("pair",),
    "comparisons.csv": ("scope", "quantity", "first", "second"),
}
_INTEGER = re.compile(r"-?\d+")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf", re.IGNORECASE)
_MISSING = frozenset({"", "nan", "NaN"})

Compare = Callable[[str, str], tuple[float | None, bool] | None]


@dataclass(frozen=True)
class _Frame:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        place = self.header.index(name)
        return [row[place] for row in self.rows]

    def keys(self, columns: Sequence[str]) -> list[Row]:
        values = zip(*(self.column(name) for name in columns), strict=True)
        return [tuple(zip(columns, row, strict=True)) for row in values]


def compare_tables(file: str, reference: bytes, present: bytes, tolerance: Tolerance) -> FileComparison:
    """Compare two CSV files: columns by name, rows by key, numbers within the tolerance, texts exactly.

    A table that `KEYS` does not know has its rows compared by their position.

    Raises:
        KindredError: One of them is no table, lacks a key column, or has two rows of one key.
    """
    there, here = _read(file, "the reference", reference), _read(file, "this folder", present)
    keys = [_keys(file, side, frame) for side, frame in (("the reference", there), ("this folder", here))]
    rows = match_rows(file, *keys)
    gaps = [Gap(file, "column", name, missing=True) for name in there.header if name not in here.header]
    gaps += [Gap(file, "column", name, missing=False) for name in here.header if name not in there.header]
    gaps += [Gap(file, "row", name_row(row), missing=True) for row in rows.missing]
    gaps += [Gap(file, "row", name_row(row), missing=False) for row in rows.added]
    columns = [name for name in there.header if name in here.header]
    cells: dict[tuple[int, int], Cell] = {}
    for number, name in enumerate(columns):
        ours, theirs = there.column(name), here.column(name)
        compare = comparer(ours, theirs, tolerance.of(name))
        for old, new in rows.common:
            found = compare(ours[old], theirs[new])
            if found:
                size, within = found
                cells[old, number] = Cell(
                    file, keys[0][old], name, name, ours[old], theirs[new], size, within
                )
    return FileComparison(
        file=file,
        identical=reference == present,
        n_cells=len(rows.common) * len(columns),
        cells=tuple(cells[place] for place in sorted(cells)),
        gaps=tuple(gaps),
        n_moved_rows=rows.n_moved,
    )


def comparer(reference: Sequence[str], present: Sequence[str], tolerance: Tolerance) -> Compare:
    """How two cells of a column are compared: None if equal, else their distance and whether it is tolerable.

    A column is of numbers if at least one side has nothing else but empty cells, and of integers if both have nothing
    else; those are counts and names, and must be equal. An empty cell and `nan` are one in a column of numbers.
    """
    sides = [[cell for cell in side if cell not in _MISSING] for side in (reference, present)]
    numeric = any(all(_NUMBER.fullmatch(cell) for cell in side) for side in sides)
    integral = all(_INTEGER.fullmatch(cell) for side in sides for cell in side)
    chosen = EXACT if integral and not tolerance.integers else tolerance

    def compare(one: str, other: str) -> tuple[float | None, bool] | None:
        if one == other or (numeric and one in _MISSING and other in _MISSING):
            return None
        if not (numeric and _NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)):
            return None, False
        return compare_numbers(float(one), float(other), chosen)

    return compare


def compare_numbers(one: float, other: float, tolerance: Tolerance) -> tuple[float, bool] | None:
    """None if two numbers are equal, else their distance and whether it is tolerable."""
    if one == other:
        return None
    size = abs(one - other)
    return size, math.isfinite(size) and tolerance.agree(one, other)


def _read(file: str, side: str, content: bytes) -> _Frame:
    try:
        lines = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise KindredError(f"results/tables/{file} of {side} is no CSV table: {error}") from error
    if not lines or len(set(lines[0])) != len(lines[0]):
        raise KindredError(f"results/tables/{file} of {side} has no header, or one that names a column twice")
    for number, line in enumerate(lines[1:], start=1):
        if len(line) != len(lines[0]):
            raise KindredError(
                f"results/tables/{file} of {side}: row {number} has {len(line)} cells, not {len(lines[0])}"
            )
    return _Frame(tuple(lines[0]), tuple(tuple(line) for line in lines[1:]))


def _keys(file: str, side: str, frame: _Frame) -> list[Row]:
    if file not in KEYS:
        return [(("row", str(number)),) for number in range(1, len(frame.rows) + 1)]
    lacking = [name for name in KEYS[file] if name not in frame.header]
    if lacking:
        raise KindredError(
            f"results/tables/{file} of {side} has no column {lacking[0]}, by which its rows are told apart; "
            f"its columns are {', '.join(frame.header)}: it is of another version of kindred"
        )
    return frame.keys(KEYS[file])
