"""Which row of the present is which row of the reference: by key, so that one row more does not shift the rest.

Source: docs/methods.md, section 8.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kindred.errors import KindredError
from kindred.verification.differences import Row


@dataclass(frozen=True)
class Matched:
    """Rows by their keys.

    Attributes:
        common: The positions (reference, present) of each row that both have, in the reference's order.
        missing: The keys that only the reference has.
        added: The keys that only the present has.
        n_moved: How many of the common rows stand in another place among them.
    """

    common: tuple[tuple[int, int], ...]
    missing: tuple[Row, ...]
    added: tuple[Row, ...]
    n_moved: int


def match_rows(file: str, reference: Sequence[Row], present: Sequence[Row]) -> Matched:
    """Match rows by key.

    Raises:
        KindredError: A key occurs twice, so that rows cannot be told apart.
    """
    for side, keys in (("the reference", reference), ("this folder", present)):
        twice = [key for key, count in Counter(keys).items() if count > 1]
        if twice:
            raise KindredError(
                f"results/tables/{file} of {side}: {len(twice)} rows share their key with another, "
                f"first {name_row(twice[0])}; it cannot be compared row by row"
            )
    there = {key: position for position, key in enumerate(reference)}
    here = {key: position for position, key in enumerate(present)}
    common = tuple((there[key], here[key]) for key in reference if key in here)
    in_order = sorted(position for _, position in common)
    return Matched(
        common=common,
        missing=tuple(key for key in reference if key not in here),
        added=tuple(key for key in present if key not in there),
        n_moved=sum(position != other for (_, position), other in zip(common, in_order, strict=True)),
    )


def name_row(row: Row) -> str:
    """A row as one reads it: sae=docs-0 feature=31."""
    return " ".join(f"{name}={value}" for name, value in row)
