"""Embedding scores of one SAE's explanations, with the contexts they were tested on and all embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from kindred.errors import KindredError

KIND = "scoring"
VERSION = 2

_TABLES = {
    "table": pa.schema(
        [
            ("feature", pa.int64()),
            ("method", pa.string()),
            ("rank", pa.int64()),
            ("auroc", pa.float64()),
            ("auroc_low", pa.float64()),
            ("auroc_high", pa.float64()),
            ("embedding_gap", pa.float64()),
            ("null_permuted", pa.float64()),
            ("null_permuted_low", pa.float64()),
            ("null_permuted_high", pa.float64()),
            ("null_random", pa.float64()),
            ("n_positive", pa.int64()),
            ("n_negative", pa.int64()),
        ]
    ),
    "contexts": pa.schema(
        [
            ("feature", pa.int64()),
            ("kind", pa.string()),
            ("decile", pa.int64()),
            ("context", pa.int64()),
            ("start", pa.int64()),
            ("length", pa.int64()),
            ("text", pa.string()),
        ]
    ),
    "explanations": pa.schema(
        [("feature", pa.int64()), ("method", pa.string()), ("rank", pa.int64()), ("text", pa.string())]
    ),
}
_ARRAYS = ("context_embeddings", "explanation_embeddings")
_TRUNCATION_FILE = "truncation.json"
COLUMNS = {name: tuple(schema.names) for name, schema in _TABLES.items()}


class Truncation(BaseModel):
    """How many texts the embedder read only in part, because they are longer than its limit.

    Attributes:
        limit: Tokens that the embedder reads of a text; null if it reads it whole, however long.
        contexts: Test contexts that were cut off there.
        windows: Top windows that were, which embedding_gap is taken from.
        explanations: Explanations that were, with the query about them.
        passages: Random passages that were, which null_random is taken from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int | None
    contexts: int
    windows: int
    explanations: int
    passages: int

    @property
    def n_cut(self) -> int:
        """How many texts were cut off."""
        return self.contexts + self.windows + self.explanations + self.passages


@dataclass(frozen=True, eq=False)
class Scores:
    """How well each explanation retrieves its feature's contexts.

    Attributes:
        table: One row per explanation, with the columns ``COLUMNS["table"]``: its AUROC with interval;
            embedding_gap, the mean cosine to the top windows minus that to the weakest decile of the positives;
            null_permuted, the mean over permutations of the AUROC of other features' explanations, with its
            range; null_random, the AUROC of a random passage. What is not defined is nan: all scores of an
            empty explanation, and of a feature without positives or negatives.
        contexts: The test contexts, with the columns ``COLUMNS["contexts"]``: kind is positive or negative;
            decile 0 is the weakest, -1 that of negatives; start is a position in the context.
        context_embeddings: Unit vectors of ``contexts``, row by row, float32 [context, dimension].
        explanations: The explanations in the order of ``table``, with the columns ``COLUMNS["explanations"]``.
        explanation_embeddings: Unit vectors of the queries made from ``explanations``, row by row, nan for an
            empty one, float32 [explanation, dimension].
        truncation: How many of the texts were read only in part.
    """

    table: pd.DataFrame
    contexts: pd.DataFrame
    context_embeddings: NDArray[np.float32]
    explanations: pd.DataFrame
    explanation_embeddings: NDArray[np.float32]
    truncation: Truncation


def truncation_note(scores: Sequence[Scores]) -> str | None:
    """Say in a sentence how many texts of some SAEs the embedder read only in part; None if it read all."""
    parts = [own.truncation for own in scores]
    if not any(part.n_cut for part in parts):
        return None
    cut = {
        name: sum(getattr(part, name) for part in parts)
        for name in ("contexts", "windows", "explanations", "passages")
    }
    n_contexts, n_explanations = (
        sum(len(getattr(own, name)) for own in scores) for name in ("contexts", "explanations")
    )
    return (
        f"The embedder reads the first {parts[0].limit} tokens of a text and no more: of {n_contexts} test contexts "
        f"{cut['contexts']} were cut off there, of {n_explanations} explanations {cut['explanations']}, besides "
        f"{cut['windows']} top windows and {cut['passages']} random passages."
    )


def save(value: Scores, directory: Path) -> None:
    """Write the scores into an empty directory.

    Files:
        table.parquet: The scores, a row for each explanation.
        contexts.parquet: The test contexts of each feature.
        explanations.parquet: The texts that were scored, row-aligned with the scores.
        context_embeddings.npy: float32 [context, dimension], row-aligned with contexts.parquet.
        explanation_embeddings.npy: float32 [explanation, dimension], row-aligned with explanations.parquet.
        truncation.json: How many of the texts the embedder read only in part.
    """
    for name, schema in _TABLES.items():
        frame = getattr(value, name)[list(schema.names)]
        table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        pq.write_table(table.replace_schema_metadata(), directory / f"{name}.parquet", compression="zstd")
    for name in _ARRAYS:
        np.save(directory / f"{name}.npy", getattr(value, name), allow_pickle=False)
    (directory / _TRUNCATION_FILE).write_text(value.truncation.model_dump_json() + "\n", encoding="utf-8")


def load(directory: Path) -> Scores:
    """Open the scores; embeddings are memory-mapped.

    Raises:
        KindredError: If tables and embeddings do not fit together.
    """
    tables = {name: pq.read_table(directory / f"{name}.parquet").to_pandas() for name in _TABLES}
    arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    truncation = Truncation.model_validate_json((directory / _TRUNCATION_FILE).read_bytes())
    scores = Scores(**tables, **arrays, truncation=truncation)
    for name, vectors in (("contexts", "context_embeddings"), ("explanations", "explanation_embeddings")):
        if len(tables[name]) != len(arrays[vectors]):
            raise KindredError(
                f"{directory}: {len(tables[name])} {name} but {len(arrays[vectors])} embeddings of them; "
                "delete it to have the scores made anew"
            )
    return scores
