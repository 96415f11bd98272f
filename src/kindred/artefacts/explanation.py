"""The explanations of one SAE's chosen features: every curve over the scales, and every text."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kindred.errors import KindredError

KIND = "explanation"
VERSION = 1

METHODS = ("self", "unsteered", "continuation", "logit_lens")
TEXT_COLUMNS = ("feature", "method", "rank", "scale", "text")
_TEXT_SCHEMA = pa.schema(
    [
        ("feature", pa.int64()),
        ("method", pa.string()),
        ("rank", pa.int64()),
        ("scale", pa.float32()),
        ("text", pa.string()),
    ]
)
_ARRAYS = (
    "features",
    "scales",
    "self_similarity",
    "entropy",
    "composite",
    "best_scale",
    "self_explainable",
)
_TEXT_FILE = "texts.parquet"
_SETTINGS_FILE = "settings.json"


@dataclass(frozen=True, eq=False)
class Explanations:
    """Row f of every array is feature ``features[f]``.

    Attributes:
        features: Indices in the SAE, int64 [feature].
        scales: The grid, 0 first, float32 [scale]; its unit is told by ``norm`` in the settings.
        self_similarity: Raw cosine between the residual at the last prompt token and the decoder row, float32
            [feature, scale].
        entropy: Of the first answer token in nats, or its cross-entropy to scale 0, float32 [feature, scale].
        composite: By which scales are chosen, float32 [feature, scale].
        best_scale: The scale of largest composite, never 0, float32 [feature].
        self_explainable: False where self-similarity is below the threshold at every scale, bool [feature].
        texts: Columns ``TEXT_COLUMNS``; methods are ``METHODS``; rank 0 of ``self`` is at the best scale. The
            scale of ``continuation`` has its own unit in the settings; ``logit_lens`` has no scale (nan).
        settings: The params section, the prompt, the norms that give the scales their units; JSON values.
    """

    features: NDArray[np.int64]
    scales: NDArray[np.float32]
    self_similarity: NDArray[np.float32]
    entropy: NDArray[np.float32]
    composite: NDArray[np.float32]
    best_scale: NDArray[np.float32]
    self_explainable: NDArray[np.bool_]
    texts: pd.DataFrame
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        n_features = len(self.features)
        curve = (n_features, len(self.scales))
        shapes = [self.self_similarity.shape, self.entropy.shape, self.composite.shape]
        if shapes != [curve] * 3 or {self.best_scale.shape, self.self_explainable.shape} != {(n_features,)}:
            raise KindredError(
                f"the explanations do not fit together: {n_features} features, {len(self.scales)} scales, "
                f"but curves of {', '.join(map(str, shapes))}; make them anew"
            )


def save(value: Explanations, directory: Path) -> None:
    """Write the explanations into an empty directory.

    Files:
        features.npy: Indices in the SAE, int64 [feature].
        scales.npy: The grid, float32 [scale].
        self_similarity.npy: float32 [feature, scale].
        entropy.npy: float32 [feature, scale].
        composite.npy: float32 [feature, scale].
        best_scale.npy: float32 [feature].
        self_explainable.npy: bool [feature].
        texts.parquet: Every text, a row for each feature, method and rank.
        settings.json: The params section, the prompt, and the norms that give the scales their units.
    """
    for name in _ARRAYS:
        np.save(directory / f"{name}.npy", getattr(value, name), allow_pickle=False)
    columns = value.texts[list(TEXT_COLUMNS)]
    pq.write_table(
        pa.Table.from_pandas(columns, schema=_TEXT_SCHEMA, preserve_index=False), directory / _TEXT_FILE
    )
    settings = json.dumps(value.settings, indent=1, sort_keys=True, ensure_ascii=False)
    (directory / _SETTINGS_FILE).write_text(settings + "\n", encoding="utf-8")


def load(directory: Path) -> Explanations:
    """Open the explanations of one SAE; arrays are memory-mapped.

    Raises:
        KindredError: If the arrays do not fit together.
    """
    arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    texts = pq.read_table(directory / _TEXT_FILE).to_pandas()
    settings = json.loads((directory / _SETTINGS_FILE).read_text(encoding="utf-8"))
    return Explanations(**arrays, texts=texts, settings=settings)
