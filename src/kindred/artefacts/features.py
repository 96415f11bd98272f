"""One SAE's activations over the whole corpus, ordered by feature, and the statistics of each feature."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kindred.errors import KindredError

KIND = "features"
VERSION = 1

TABLE_COLUMNS = (
    "feature",
    "n_tokens_active",
    "firing_rate",
    "n_contexts_active",
    "context_rate",
    "max",
    "mean_nonzero",
    "single_token_share",
    "top_token_entropy_nats",
)
_INDEX_FILE = "index.json"
_TABLE_FILE = "statistics.parquet"
_INDEX_ARRAYS = ("offsets", "token", "value")
_STATISTICS_ARRAYS = ("bin_edges", "histogram", "position_histogram", "top_tokens", "top_token_mass")


@dataclass(frozen=True, eq=False)
class FeatureIndex:
    """Feature-major activations: all that a feature does lies in one contiguous stretch.

    Attributes:
        d_sae: Number of features.
        n_contexts: Contexts in the corpus.
        context_length: Positions per context.
        n_tokens: Tokens of the corpus that are not special (the denominator of a firing rate).
        offsets: int64 [d_sae + 1]; feature f holds entries offsets[f] to offsets[f + 1].
        token: uint32 (int64 beyond 2**32 positions) [nnz]: context * context_length + position, ascending
            within a feature.
        value: float32 [nnz], all positive.
    """

    d_sae: int
    n_contexts: int
    context_length: int
    n_tokens: int
    offsets: NDArray[np.int64]
    token: NDArray[np.integer]
    value: NDArray[np.float32]

    def __post_init__(self) -> None:
        n_entries = (int(self.offsets[-1]),)
        if (
            self.offsets.shape != (self.d_sae + 1,)
            or self.token.shape != n_entries
            or self.value.shape != n_entries
        ):
            raise KindredError(
                f"the feature index does not fit together: {self.d_sae} features, {len(self.offsets)} offsets "
                f"ending at {n_entries[0]}, {len(self.token)} tokens, {len(self.value)} values; make it anew"
            )

    def of(self, feature: int) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """Return the flat token indices (ascending) where a feature fires, and its activations there.

        Raises:
            KindredError: If there is no such feature.
        """
        if not 0 <= feature < self.d_sae:
            raise KindredError(f"there is no feature {feature}: the SAE has features 0 to {self.d_sae - 1}")
        entries = slice(int(self.offsets[feature]), int(self.offsets[feature + 1]))
        return self.token[entries], self.value[entries]


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Statistics of each feature over the corpus; row f of everything is feature f, silent ones included.

    Attributes:
        table: One row per feature with the columns ``TABLE_COLUMNS``.
        bin_edges: float32 [n_bins + 1], log-spaced, shared by all features.
        histogram: int64 [d_sae, n_bins], activations per bin.
        position_histogram: int64 [d_sae, context_length], activations per position.
        top_tokens: int32 [d_sae, n_top_tokens], token ids by summed activation, -1 where there are fewer.
        top_token_mass: float32 [d_sae, n_top_tokens], the summed activations, 0 where there are fewer.
    """

    table: pd.DataFrame
    bin_edges: NDArray[np.float32]
    histogram: NDArray[np.int64]
    position_histogram: NDArray[np.int64]
    top_tokens: NDArray[np.int32]
    top_token_mass: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """The index of one SAE's features together with their statistics.

    Attributes:
        index: Where and how strongly each feature fires.
        statistics: What that amounts to over the corpus.
    """

    index: FeatureIndex
    statistics: FeatureStatistics


def save(value: Features, directory: Path) -> None:
    """Write index and statistics; index arrays that were gathered into this folder stay as they are.

    Files:
        index.json: d_sae, n_contexts, context_length and n_tokens.
        offsets.npy: Where each feature begins and ends, int64 [d_sae + 1].
        token.npy: Flat token indices, uint32 or int64 [nnz].
        value.npy: Activations, float32 [nnz].
        statistics.parquet: The table of statistics, a row for each feature.
        bin_edges.npy: Of the histogram, float32 [n_bins + 1].
        histogram.npy: Activations per bin, int64 [d_sae, n_bins].
        position_histogram.npy: Activations per position, int64 [d_sae, context_length].
        top_tokens.npy: Token ids, int32 [d_sae, n_top_tokens].
        top_token_mass.npy: Their summed activations, float32 [d_sae, n_top_tokens].
    """
    for name in _INDEX_ARRAYS:
        _save_array(directory / f"{name}.npy", getattr(value.index, name))
    for name in _STATISTICS_ARRAYS:
        _save_array(directory / f"{name}.npy", getattr(value.statistics, name))
    table = pa.Table.from_pandas(value.statistics.table[list(TABLE_COLUMNS)], preserve_index=False)
    pq.write_table(table, directory / _TABLE_FILE)
    index = {
        "d_sae": value.index.d_sae,
        "n_contexts": value.index.n_contexts,
        "context_length": value.index.context_length,
        "n_tokens": value.index.n_tokens,
    }
    (directory / _INDEX_FILE).write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def load(directory: Path) -> Features:
    """Open the features of one SAE; arrays are memory-mapped, so one feature costs its own activations only.

    Raises:
        KindredError: If the arrays do not fit together.
    """
    arrays = {
        name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in (*_INDEX_ARRAYS, *_STATISTICS_ARRAYS)
    }
    sizes = json.loads((directory / _INDEX_FILE).read_text())
    index = FeatureIndex(**sizes, **{name: arrays[name] for name in _INDEX_ARRAYS})
    table = pq.read_table(directory / _TABLE_FILE).to_pandas()
    return Features(index, FeatureStatistics(table, **{name: arrays[name] for name in _STATISTICS_ARRAYS}))


def token_dtype(n_positions: int) -> type[np.uint32] | type[np.int64]:
    """Return the dtype of flat token indices in a corpus of ``n_positions`` positions."""
    return np.uint32 if n_positions <= 1 << 32 else np.int64


def array_file(directory: Path, name: str) -> Path:
    """Return the file of an index array, for a gather that writes it in place."""
    return directory / f"{name}.npy"


def _save_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array, unless it maps this very file (writing would truncate its own source)."""
    if not isinstance(array, np.memmap) or array.filename is None or not path.exists():
        np.save(path, array, allow_pickle=False)
    elif path.samefile(array.filename):
        array.flush()
    else:
        np.save(path, array, allow_pickle=False)
