"""Comparing JSON files leaf by leaf; the records of matched features are told apart by what they are of.

Source: docs/methods.md, section 8.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from kindred.errors import KindredError
from kindred.verification.differences import Cell, FileComparison, Gap, Row
from kindred.verification.rows import match_rows, name_row
from kindred.verification.tables import compare_numbers
from kindred.verification.tolerance import EXACT, Tolerance

RECORD_KEYS = {"matched_features.json": ("pair", "group", "indices")}


@dataclass
class _Walk:
    """What one walk over two documents has met so far."""

    file: str
    n_leaves: int = 0
    floating: set[str] = field(default_factory=set)
    differing: list[tuple[str, str, Any, Any]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def visit(self, there: Any, here: Any, path: str, column: str) -> None:
        """Compare two values at one path; `column` is the path without indices."""
        if isinstance(there, dict) and isinstance(here, dict):
            for key in dict.fromkeys((*there, *here)):
                if key in there and key in here:
                    inner = f"{column}.{key}" if column else key
                    self.visit(there[key], here[key], f"{path}.{key}", inner)
                else:
                    self.gaps.append(Gap(self.file, "column", f"{path}.{key}", missing=key in there))
        elif isinstance(there, list) and isinstance(here, list):
            if len(there) != len(here):
                lengths = f"{path}: {len(there)} values in the reference, {len(here)} here"
                self.gaps.append(Gap(self.file, "length", lengths, missing=len(here) < len(there)))
                return
            for index, (old, new) in enumerate(zip(there, here, strict=True)):
                self.visit(old, new, f"{path}[{index}]", column)
        else:
            self.n_leaves += 1
            if isinstance(there, float) or isinstance(here, float):
                self.floating.add(column)
            if type(there) is not type(here) or there != here:
                self.differing.append((path, column, there, here))

    def cells(self, tolerance: Tolerance) -> list[Cell]:
        """The leaves that differ, once it is known which columns hold nothing but integers."""
        found = []
        for path, column, there, here in self.differing:
            named = tolerance.of(column)
            chosen = named if column in self.floating or named.integers else EXACT
            judged = _judge(there, here, chosen)
            if judged:
                size, within = judged
                found.append(Cell(self.file, (), column, path, _written(there), _written(here), size, within))
        return found


def compare_documents(file: str, reference: bytes, present: bytes, tolerance: Tolerance) -> FileComparison:
    """Compare two JSON files: numbers within the tolerance, all else exactly; null and NaN are one.

    Places are named as `[3].windows[0].mean[2].acts[5]`, counted in the reference.

    Raises:
        KindredError: One of them is not JSON, or no list of the records that it should be.
    """
    there, here = _read(file, "the reference", reference), _read(file, "this folder", present)
    walk = _Walk(file)
    n_moved = 0
    if file in RECORD_KEYS:
        old, new = _keys(file, "the reference", there), _keys(file, "this folder", here)
        rows = match_rows(file, old, new)
        n_moved = rows.n_moved
        walk.gaps += [Gap(file, "row", name_row(row), missing=True) for row in rows.missing]
        walk.gaps += [Gap(file, "row", name_row(row), missing=False) for row in rows.added]
        for before, after in rows.common:
            walk.visit(there[before], here[after], f"[{before}]", "")
    else:
        walk.visit(there, here, "", "")
    return FileComparison(
        file=file,
        identical=reference == present,
        n_cells=walk.n_leaves,
        cells=tuple(walk.cells(tolerance)),
        gaps=tuple(walk.gaps),
        n_moved_rows=n_moved,
    )


def _judge(there: Any, here: Any, tolerance: Tolerance) -> tuple[float | None, bool] | None:
    if _is_missing(there) and _is_missing(here):
        return None
    if _is_number(there) and _is_number(here):
        return compare_numbers(there, here, tolerance)
    return None, False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read(file: str, side: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise KindredError(f"results/tables/{file} of {side} is not JSON: {error}") from error


def _keys(file: str, side: str, document: Any) -> list[Row]:
    names = RECORD_KEYS[file]
    if not isinstance(document, list) or not all(
        isinstance(record, dict) and set(names) <= set(record) for record in document
    ):
        raise KindredError(
            f"results/tables/{file} of {side} is no list of records with {', '.join(names)}: "
            "it is of another version of kindred"
        )
    return [tuple((name, _name(record[name])) for name in names) for record in document]


def _name(value: Any) -> str:
    return value if isinstance(value, str) else _written(value)
