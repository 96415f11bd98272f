"""Comparing a folder of tables with its committed reference, file by file, to one verdict.

Source: docs/methods.md, section 8.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from kindred.verification.differences import Cell, FileComparison, Gap
from kindred.verification.documents import compare_documents
from kindred.verification.printed import SUFFIXES, compare_printed
from kindred.verification.tables import KEYS, compare_tables
from kindred.verification.tolerance import EXACT, Tolerance

_NUMBERS = (".csv", ".json")
_COMPARE = {
    ".csv": compare_tables,
    ".json": compare_documents,
    **dict.fromkeys(SUFFIXES, compare_printed),
}
_ORDER = tuple(_COMPARE)
_JUDGED_IN_CSV = Tolerance(relative=math.inf, absolute=math.inf)
_TABLES = tuple(KEYS)


class Verdict(Enum):
    """What a comparison comes to."""

    IDENTICAL = "identical"
    WITHIN = "equal within the stated tolerance"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Comparison:
    """All files of results/tables against the reference: CSV (single features before medians), JSON, printed forms.

    Attributes:
        files: One comparison for each file that both have.
        gaps: Files that only one of them has.
        tolerance: By which they were judged.
    """

    files: Sequence[FileComparison]
    gaps: Sequence[Gap]
    tolerance: Tolerance

    @property
    def verdict(self) -> Verdict:
        """Identical is byte by byte, in every file."""
        if not self.gaps and all(file.identical for file in self.files):
            return Verdict.IDENTICAL
        same = not self.gaps and all(file.within for file in self.files)
        return Verdict.WITHIN if same else Verdict.DIFFERENT

    @property
    def numbers(self) -> tuple[FileComparison, ...]:
        """The files that hold the numbers: CSV and JSON."""
        return tuple(file for file in self.files if file.file.endswith(_NUMBERS))

    @property
    def n_cells(self) -> int:
        """How many cells of CSV and JSON both have."""
        return sum(file.n_cells for file in self.numbers)

    @property
    def following(self) -> tuple[FileComparison, ...]:
        """The printed forms that differ as their CSV does: they say nothing new."""
        judged = {file.file for file in self.numbers if not file.within}
        return tuple(
            file
            for file in self.files
            if file not in self.numbers
            and not file.within
            and str(PurePosixPath(file.file).with_suffix(".csv")) in judged
        )

    @property
    def moved(self) -> tuple[Cell, ...]:
        """Cells of CSV and JSON that differ within the tolerance, the largest distance first."""
        cells = [cell for file in self.numbers for cell in file.cells if cell.within]
        return tuple(sorted(cells, key=lambda cell: -(cell.size or 0.0)))

    @property
    def beyond(self) -> tuple[Cell, ...]:
        """Cells (and lines of printed forms) that differ by more, in the order of the files; in each, texts first."""
        return tuple(
            cell
            for file in self.files
            for cell in sorted(file.beyond, key=lambda cell: cell.size is not None)
        )


def is_compared(name: str) -> bool:
    """Whether a file of results/tables is part of the reference: manifests, schemas and sidecars say how, not what."""
    path = PurePosixPath(name)
    described = path.name.startswith("manifest.json") or path.name.endswith(
        (".schema.json", ".provenance.json")
    )
    return path.suffix in _ORDER and not described


def compare_files(
    reference: Mapping[str, bytes], present: Mapping[str, bytes], tolerance: Tolerance
) -> Comparison:
    """Compare files by name; those that `is_compared` does not name are left out.

    The numbers of a printed form are judged where they stand in full, in its CSV; if that is identical, there is no
    excuse to differ in a digit.

    Raises:
        KindredError: A file cannot be read, or its rows cannot be told apart.
    """
    there = {name: content for name, content in reference.items() if is_compared(name)}
    here = {name: content for name, content in present.items() if is_compared(name)}
    files = []
    for name in sorted(there.keys() & here.keys(), key=_order):
        suffix = PurePosixPath(name).suffix
        chosen = _of_printed(name, there, here, tolerance) if suffix in SUFFIXES else tolerance
        files.append(_COMPARE[suffix](name, there[name], here[name], chosen))
    gaps = [Gap(name, "file", name, missing=True) for name in sorted(there.keys() - here.keys(), key=_order)]
    gaps += [
        Gap(name, "file", name, missing=False) for name in sorted(here.keys() - there.keys(), key=_order)
    ]
    return Comparison(tuple(files), tuple(gaps), tolerance)


def _of_printed(
    name: str, there: Mapping[str, bytes], here: Mapping[str, bytes], tolerance: Tolerance
) -> Tolerance:
    csv = str(PurePosixPath(name).with_suffix(".csv"))
    if csv not in there or csv not in here:
        return tolerance
    return EXACT if there[csv] == here[csv] else _JUDGED_IN_CSV


def _order(name: str) -> tuple[int, int, str]:
    path = PurePosixPath(name)
    table = path.with_suffix(".csv").name
    return _ORDER.index(path.suffix), _TABLES.index(table) if table in _TABLES else len(_TABLES), name
