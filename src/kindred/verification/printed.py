"""Comparing the printed forms of tables (LaTeX, Markdown) line by line, numbers apart from the words around them.

Source: docs/methods.md, section 8.
"""

import re

from kindred.verification.differences import Cell, FileComparison, Gap
from kindred.verification.tables import compare_numbers
from kindred.verification.tolerance import Tolerance

SUFFIXES = (".md", ".tex")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?(?![\w.])")
_LINES = "lines"


def compare_printed(file: str, reference: bytes, present: bytes, tolerance: Tolerance) -> FileComparison:
    """Compare two printed tables: in each line the words exactly, and the numbers within the tolerance.

    The tables are judged by their CSV; this finds what is printed otherwise besides (a caption, a note, a column).
    Spaces that pad a column do not count.
    """
    there = reference.decode(errors="replace").splitlines()
    here = present.decode(errors="replace").splitlines()
    if len(there) != len(here):
        lengths = f"{len(there)} lines in the reference, {len(here)} here"
        gap = Gap(file, "lines", lengths, missing=len(here) < len(there))
        return FileComparison(file, identical=False, n_cells=0, gaps=(gap,))
    cells = []
    for number, (old, new) in enumerate(zip(there, here, strict=True), start=1):
        judged = _judge(old, new, tolerance)
        if judged:
            size, within = judged
            cells.append(Cell(file, (), _LINES, f", line {number}", old.strip(), new.strip(), size, within))
    return FileComparison(file, identical=reference == present, n_cells=len(there), cells=tuple(cells))


def _judge(old: str, new: str, tolerance: Tolerance) -> tuple[float | None, bool] | None:
    """The largest distance of the numbers of two lines, and whether all is tolerable; None if they say the same."""
    if _words(old) != _words(new):
        return None, False
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    moved = [found for one, other in pairs if (found := compare_numbers(float(one), float(other), tolerance))]
    if not moved:
        return None
    return max(size for size, _ in moved), all(within for _, within in moved)


def _words(line: str) -> list[str]:
    return _NUMBER.sub("\N{REPLACEMENT CHARACTER}", line).split()
