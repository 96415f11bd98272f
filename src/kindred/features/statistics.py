"""Statistics of every feature over the corpus, a bounded number of activations at a time.

The entropy of a feature's tokens after Heap et al., 'Sparse Autoencoders Can Interpret Randomly Initialized
Transformers' (arXiv 2501.17727): it tells trained models from random ones where interpretability scores do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.features import TABLE_COLUMNS, FeatureIndex, FeatureStatistics
from kindred.errors import KindredError
from kindred.features.ordering import grouped_order
from kindred.mapped import release

# Bounds of one chunk; a chunk holds at least one feature, however often it fires.
CHUNK_ENTRIES = 1 << 21
CHUNK_FEATURES = 1024


@dataclass(frozen=True, eq=False)
class _Chunk:
    """The activations of a run of features, in the order of the index.

    Attributes:
        counts: int64 [chunk_feature], activations of each.
        starts: int64 [chunk_feature], where each begins.
        feature: int64 [entry], relative to the first of the chunk.
        flat: int64 [entry], flat token index.
        token_id: int64 [entry].
        value: float32 [entry].
    """

    counts: NDArray[np.int64]
    starts: NDArray[np.int64]
    feature: NDArray[np.int64]
    flat: NDArray[np.int64]
    token_id: NDArray[np.int64]
    value: NDArray[np.float32]

    @property
    def n_features(self) -> int:
        return len(self.counts)

    def sums(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum a weight of each entry within each feature, in the order of the index."""
        return np.bincount(self.feature, weights, minlength=self.n_features).astype(np.float64, copy=False)


def feature_statistics(
    index: FeatureIndex,
    tokens: NDArray[np.int32],
    *,
    n_bins: int,
    n_top_tokens: int,
    n_top_activations: int,
    chunk_entries: int = CHUNK_ENTRIES,
) -> FeatureStatistics:
    """Describe each feature by when it fires, how strongly, and on which tokens (docs/methods.md, section 1).

    Rates are over non-special tokens and over all contexts. ``max`` of a silent feature is 0; its mean, share
    and entropy are nan. Sums are float64 in the order of the corpus, so they depend on neither chunks nor shards.
    The entropy (nats) is that of the token ids a feature falls on, each weighted by its summed activation (the
    mass that also ranks the top tokens), so that faint activations count less than strong ones.
    ``single_token_share`` is the share of a feature's ``n_top_activations`` largest activations (ties: the
    earlier one) that fall on the commonest token among them.

    Args:
        index: The feature-major activations of one SAE.
        tokens: [context, position], the token ids of the corpus.
        n_bins: Bins of the log-spaced histogram.
        n_top_tokens: Tokens kept per feature, by summed activation (as float32; ties: the lower id).
        n_top_activations: Largest activations over which the single-token share is taken.
        chunk_entries: Activations handled at once.

    Raises:
        KindredError: If the tokens are not those of the index.
    """
    if tokens.shape != (index.n_contexts, index.context_length):
        raise KindredError(
            f"the feature index is of {index.n_contexts} contexts of {index.context_length} tokens, "
            f"but the tokens have shape {tokens.shape}; gather the features anew"
        )
    flat_tokens = tokens.reshape(-1)
    n_vocabulary = int(flat_tokens.max(initial=0)) + 1
    edges = log_bin_edges(index.value, n_bins, chunk_entries)
    table = {name: np.full(index.d_sae, np.nan) for name in TABLE_COLUMNS}
    histogram = np.zeros((index.d_sae, n_bins), dtype=np.int64)
    positions = np.zeros((index.d_sae, index.context_length), dtype=np.int64)
    top_tokens = np.full((index.d_sae, n_top_tokens), -1, dtype=np.int32)
    top_mass = np.zeros((index.d_sae, n_top_tokens), dtype=np.float32)
    for rows in _chunk_bounds(index.offsets, chunk_entries):
        chunk = _read_chunk(index, flat_tokens, rows)
        for mapped in (index.token, index.value, tokens):
            release(mapped)
        for name, column in _activity(chunk, index.context_length).items():
            table[name][rows] = column
        histogram[rows] = _histogram(chunk, edges)
        positions[rows] = _counts_by(chunk, chunk.flat % index.context_length, index.context_length)
        table["single_token_share"][rows] = _single_token_share(chunk, n_vocabulary, n_top_activations)
        mass = _token_mass(chunk, n_vocabulary)
        table["top_token_entropy_nats"][rows] = _entropy_nats(mass, chunk.n_features)
        top_tokens[rows], top_mass[rows] = _top_tokens(mass, chunk.n_features, n_top_tokens)
    return FeatureStatistics(_table(table, index), edges, histogram, positions, top_tokens, top_mass)


def log_bin_edges(
    values: NDArray[np.float32], n_bins: int, chunk_entries: int = CHUNK_ENTRIES
) -> NDArray[np.float32]:
    """Return n_bins + 1 log-spaced edges from the smallest to the largest of positive values, read in chunks.

    Equal values get edges from half to twice that value, no values edges from 1 to 2. Bins are closed below and
    open above, the last one closed.
    """
    lows, highs = [], []
    for start in range(0, len(values), chunk_entries):
        chunk = values[start : start + chunk_entries]
        lows.append(float(chunk.min()))
        highs.append(float(chunk.max()))
        release(values)
    low, high = min(lows, default=1.0), max(highs, default=2.0)
    if low == high:
        low, high = low / 2, high * 2
    edges = np.geomspace(low, high, n_bins + 1).astype(np.float32)
    edges[0], edges[-1] = low, high
    return edges


def _chunk_bounds(offsets: NDArray[np.int64], chunk_entries: int) -> Iterator[slice]:
    """Yield runs of features with about ``chunk_entries`` activations, at least one feature each."""
    d_sae = len(offsets) - 1
    first = 0
    while first < d_sae:
        fitting = int(np.searchsorted(offsets, offsets[first] + chunk_entries, side="right")) - 1
        last = min(max(first + 1, fitting), first + CHUNK_FEATURES, d_sae)
        yield slice(first, last)
        first = last


def _read_chunk(index: FeatureIndex, flat_tokens: NDArray[np.int32], rows: slice) -> _Chunk:
    bounds = np.asarray(index.offsets[rows.start : rows.stop + 1])
    entries = slice(int(bounds[0]), int(bounds[-1]))
    flat = index.token[entries].astype(np.int64)
    counts = np.diff(bounds)
    return _Chunk(
        counts=counts,
        starts=bounds[:-1] - bounds[0],
        feature=np.repeat(np.arange(len(counts)), counts),
        flat=flat,
        token_id=flat_tokens[flat].astype(np.int64),
        value=np.array(index.value[entries]),
    )


def _activity(chunk: _Chunk, context_length: int) -> dict[str, NDArray[np.generic]]:
    """Return how often and how strongly each feature fires."""
    active = chunk.counts > 0
    context = chunk.flat // context_length
    begins_context = np.ones(len(context), dtype=np.bool_)
    begins_context[1:] = (context[1:] != context[:-1]) | (chunk.feature[1:] != chunk.feature[:-1])
    maximum = np.zeros(chunk.n_features, dtype=np.float32)
    if len(chunk.value):
        maximum[active] = np.maximum.reduceat(chunk.value, chunk.starts[active])
    mean = np.full(chunk.n_features, np.nan)
    mean[active] = chunk.sums(chunk.value)[active] / chunk.counts[active]
    return {
        "n_tokens_active": chunk.counts,
        "n_contexts_active": np.bincount(chunk.feature[begins_context], minlength=chunk.n_features),
        "max": maximum,
        "mean_nonzero": mean,
    }


def _histogram(chunk: _Chunk, edges: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count activations per feature and bin."""
    n_bins = len(edges) - 1
    bins = np.searchsorted(edges, chunk.value, side="right") - 1
    return _counts_by(chunk, np.minimum(bins, n_bins - 1), n_bins)


def _counts_by(chunk: _Chunk, category: NDArray[np.int64], n_categories: int) -> NDArray[np.int64]:
    """Count entries per feature and category; int64 [chunk_feature, n_categories]."""
    counts = np.bincount(chunk.feature * n_categories + category, minlength=chunk.n_features * n_categories)
    return counts.reshape(chunk.n_features, n_categories)


def _single_token_share(chunk: _Chunk, n_vocabulary: int, n_top: int) -> NDArray[np.float64]:
    """Return the share of the commonest token among each feature's largest activations (silent: nan)."""
    order = grouped_order(chunk.feature, _descending(chunk.value), chunk.n_features, 1 << 32)
    rank = np.arange(len(order)) - np.repeat(chunk.starts, chunk.counts)
    top = order[rank < n_top]
    pairs, occurrences = np.unique(
        chunk.feature[top] * n_vocabulary + chunk.token_id[top], return_counts=True
    )
    commonest = np.zeros(chunk.n_features, dtype=np.int64)
    np.maximum.at(commonest, pairs // n_vocabulary, occurrences)
    share = np.full(chunk.n_features, np.nan)
    active = chunk.counts > 0
    share[active] = commonest[active] / np.minimum(chunk.counts[active], n_top)
    return share


def _descending(positive: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return 32-bit keys that ascend as the values descend: bits of positive floats are in their order."""
    return np.uint64(0xFFFFFFFF) - positive.view(np.uint32).astype(np.uint64)


@dataclass(frozen=True, eq=False)
class _TokenMass:
    """Summed activation of each (feature, token id) that occurs, ordered by feature, then token id."""

    feature: NDArray[np.int64]
    token_id: NDArray[np.int64]
    mass: NDArray[np.float64]


def _token_mass(chunk: _Chunk, n_vocabulary: int) -> _TokenMass:
    """Sum each feature's activations by token id."""
    if not len(chunk.value):
        return _TokenMass(chunk.feature, chunk.token_id, chunk.value.astype(np.float64))
    order = grouped_order(chunk.feature, chunk.token_id.astype(np.uint64), chunk.n_features, n_vocabulary)
    feature, token_id = chunk.feature[order], chunk.token_id[order]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (feature[1:] != feature[:-1]) | (token_id[1:] != token_id[:-1])
    group = np.cumsum(begins) - 1
    mass = np.bincount(group, chunk.value[order]).astype(np.float64, copy=False)
    return _TokenMass(feature[begins], token_id[begins], mass)


def _entropy_nats(mass: _TokenMass, n_features: int) -> NDArray[np.float64]:
    """Return the entropy of each feature's mass over token ids; nan where it is silent."""
    total = np.bincount(mass.feature, mass.mass, minlength=n_features)
    share = mass.mass / total[mass.feature]
    entropy = np.bincount(mass.feature, -share * np.log(share), minlength=n_features)
    # A share of 1 gives -0.0, which would be written as such.
    return np.where(total > 0, np.abs(entropy), np.nan)


def _top_tokens(
    mass: _TokenMass, n_features: int, n_top: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the token ids of largest mass and their mass; [chunk_feature, n_top], filled with -1 and 0."""
    # Entries are in the order of token ids, and the order is stable: ties go to the lower id.
    order = grouped_order(mass.feature, _descending(mass.mass.astype(np.float32)), n_features, 1 << 32)
    feature = mass.feature[order]
    counts = np.bincount(feature, minlength=n_features)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = rank < n_top
    tokens = np.full((n_features, n_top), -1, dtype=np.int32)
    top_mass = np.zeros((n_features, n_top), dtype=np.float32)
    tokens[feature[kept], rank[kept]] = mass.token_id[order][kept]
    top_mass[feature[kept], rank[kept]] = mass.mass[order][kept]
    return tokens, top_mass


def _table(columns: dict[str, NDArray[np.float64]], index: FeatureIndex) -> pd.DataFrame:
    """Return the table with its rates and integer columns."""
    counts = {name: columns[name].astype(np.int64) for name in ("n_tokens_active", "n_contexts_active")}
    return pd.DataFrame(
        columns
        | counts
        | {
            "feature": np.arange(index.d_sae, dtype=np.int64),
            "firing_rate": columns["n_tokens_active"] / max(index.n_tokens, 1),
            "context_rate": columns["n_contexts_active"] / max(index.n_contexts, 1),
        },
        columns=list(TABLE_COLUMNS),
    )
