"""What a comparison of two files finds: cells that moved, and parts that only one of the two has.

Source: docs/methods.md, section 8.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Row = tuple[tuple[str, str], ...]
Part = Literal["file", "column", "row", "lines", "length"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell whose value is not the reference's.

    Attributes:
        file: Its name in results/tables.
        row: The row's key columns and their values; empty where a path says it all.
        column: What cells are counted under: the column, or the path in a JSON file without its indices.
        path: The column, the path in a JSON file, or the line.
        reference: As written in the reference.
        present: As written here.
        size: How far the two numbers lie apart; None if they are no two numbers.
        within: Whether that is within the tolerance.
    """

    file: str
    row: Row
    column: str
    path: str
    reference: str
    present: str
    size: float | None
    within: bool

    @property
    def place(self) -> str:
        """The file, the row and the column, as one reads them."""
        if not self.row:
            return f"{self.file}{self.path}"
        return f"{self.file} [{' '.join(f'{name}={value}' for name, value in self.row)}] {self.path}"


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a file, or a whole file, that only the reference or only the present has.

    Attributes:
        file: Its name in results/tables.
        part: What kind of part.
        name: Which one, as one reads it.
        missing: Whether it is missing here (else the reference lacks it).
    """

    file: str
    part: Part
    name: str
    missing: bool


@dataclass(frozen=True)
class FileComparison:
    """One file against its reference.

    Attributes:
        file: Its name in results/tables.
        identical: Whether the bytes are the same.
        n_cells: How many cells both have (lines of a printed table).
        cells: Those whose value is not the reference's, in the order of the file.
        gaps: What only one of the two has.
        n_moved_rows: How many rows that both have stand in another place.
    """

    file: str
    identical: bool
    n_cells: int
    cells: Sequence[Cell] = ()
    gaps: Sequence[Gap] = ()
    n_moved_rows: int = 0

    @cached_property
    def beyond(self) -> tuple[Cell, ...]:
        """The cells that differ by more than the tolerance."""
        return tuple(cell for cell in self.cells if not cell.within)

    @property
    def within(self) -> bool:
        """Whether nothing differs by more than the tolerance."""
        return not (self.beyond or self.gaps or self.n_moved_rows)

    @property
    def columns(self) -> Counter[str]:
        """How many cells beyond the tolerance each column has."""
        return Counter(cell.column for cell in self.beyond)
