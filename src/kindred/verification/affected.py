"""How many features a difference concerns: a text that flips at a near tie moves all the cells that hang on it.

Source: docs/methods.md, sections 4 and 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kindred.verification.differences import Cell

# Each of them has rows for every feature of a chosen pair.
TABLES = ("features.csv", "scores.csv")
SELF = "self"


@dataclass(frozen=True)
class Affected:
    """Features with cells beyond the tolerance in features.csv or scores.csv, as sae/feature in sorted order.

    Attributes:
        features: All of them.
        texts: Those whose own explanation reads otherwise.
    """

    features: tuple[str, ...]
    texts: tuple[str, ...]


def affected_features(cells: Sequence[Cell]) -> Affected:
    """Count the features behind the cells; the texts of the baselines (other methods) are not their explanations."""
    features, texts = set(), set()
    for cell in cells:
        if cell.file not in TABLES or cell.within:
            continue
        row = dict(cell.row)
        name = f"{row['sae']}/{row['feature']}"
        features.add(name)
        if cell.column == "explanation" and row.get("method", SELF) == SELF:
            texts.add(name)
    return Affected(tuple(sorted(features)), tuple(sorted(texts)))
