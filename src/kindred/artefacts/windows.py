"""The windows that activate each chosen feature most, as people read them and as a table of positions."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

KIND = "windows"
VERSION = 1

Criterion = Literal["mean", "density", "max"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)

_EXAMPLES_FILE = "windows.json"
_POSITIONS_FILE = "positions.parquet"


class ActExample(BaseModel):
    """A passage and how it activates a feature, token by token.

    Attributes:
        tokens: Token ids.
        texts: Text of each token; joined they are the passage as it was written. A token that holds but part
            of a character is empty, and the one that completes the character holds it whole.
        acts: Activation of the feature at each token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: list[int]
    texts: list[str]
    acts: list[float]

    @model_validator(mode="after")
    def _lists_are_of_one_length(self) -> "ActExample":
        if not len(self.tokens) == len(self.texts) == len(self.acts):
            raise ValueError(
                f"tokens, texts and acts must be of one length, not {len(self.tokens)}, {len(self.texts)} and "
                f"{len(self.acts)}"
            )
        return self


class FeatureWindows(BaseModel):
    """The best windows of one feature by each criterion, best first.

    Attributes:
        mean: By the mean activation over all tokens of the window.
        density: By the share of its tokens that activate the feature.
        max: By its largest activation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: list[ActExample]
    density: list[ActExample]
    max: list[ActExample]


@dataclass(frozen=True, eq=False)
class Windows:
    """The best windows of several features of one SAE.

    Attributes:
        by_feature: The windows of each feature, features ascending.
        positions: One row per window: columns feature, criterion, rank (from 0), context, start (position in
            the context), length (tokens), mean, density, max.
    """

    by_feature: dict[int, FeatureWindows]
    positions: pd.DataFrame


_BY_FEATURE = TypeAdapter(dict[int, FeatureWindows])


def save(value: Windows, directory: Path) -> None:
    """Write windows into an empty directory.

    Files:
        windows.json: The windows of each feature as people read them, by feature.
        positions.parquet: Where they lie and how they score, a row for each window.
    """
    examples = {str(feature): value.by_feature[feature].model_dump() for feature in sorted(value.by_feature)}
    text = json.dumps(examples, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (directory / _EXAMPLES_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")
    value.positions.to_parquet(directory / _POSITIONS_FILE, index=False)


def load(directory: Path) -> Windows:
    """Read windows from their directory."""
    return Windows(
        by_feature=_BY_FEATURE.validate_json((directory / _EXAMPLES_FILE).read_bytes()),
        positions=pd.read_parquet(directory / _POSITIONS_FILE),
    )
