from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.artefacts.features import TABLE_COLUMNS, FeatureIndex, FeatureStatistics
from kindred.errors import KindredError
from kindred.features.statistics import feature_statistics, log_bin_edges

N_BINS, N_TOP_TOKENS, N_TOP_ACTIVATIONS = 5, 3, 4


def _index(dense: NDArray[np.float32], n_special: int = 0) -> FeatureIndex:
    """The index of a dense [context, position, feature] corpus."""
    flat = dense.reshape(-1, dense.shape[2])
    feature, token = np.nonzero(flat.T)
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(flat, axis=0))])
    n_tokens = len(flat) - n_special
    value = flat[token, feature]
    return FeatureIndex(dense.shape[2], *dense.shape[:2], n_tokens, offsets, token.astype(np.uint32), value)


def _statistics(
    index: FeatureIndex, tokens: NDArray[np.int32], chunk_entries: int = 1 << 20
) -> FeatureStatistics:
    return feature_statistics(
        index,
        tokens,
        n_bins=N_BINS,
        n_top_tokens=N_TOP_TOKENS,
        n_top_activations=N_TOP_ACTIVATIONS,
        chunk_entries=chunk_entries,
    )


@st.composite
def corpora(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Activations [context, position, feature] with many ties, and token ids."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_contexts, length, n_features = draw(st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 6)))
    dense = generator.choice([0.25, 0.5, 0.75, 1.0, 3.0], size=(n_contexts, length, n_features))
    dense[generator.random(dense.shape) < draw(st.floats(0, 1))] = 0
    tokens = generator.integers(0, draw(st.integers(1, 6)), size=(n_contexts, length))
    return dense.astype(np.float32), tokens.astype(np.int32)


def _naive_share(values: list[float], ids: list[int]) -> float:
    largest = sorted(range(len(values)), key=lambda entry: (-values[entry], entry))[:N_TOP_ACTIVATIONS]
    return Counter(ids[entry] for entry in largest).most_common(1)[0][1] / len(largest)


@given(corpora(), st.integers(1, 30))
def test_statistics_equal_naive_loops(corpus, chunk_entries) -> None:  # type: ignore[no-untyped-def]
    dense, tokens = corpus
    n_contexts, _, n_features = dense.shape
    statistics = _statistics(_index(dense), tokens, chunk_entries)
    assert tuple(statistics.table.columns) == TABLE_COLUMNS
    for feature in range(n_features):
        row = statistics.table.iloc[feature]
        acts = dense[:, :, feature]
        active = acts > 0
        assert row["feature"] == feature
        assert row["n_tokens_active"] == active.sum()
        assert row["firing_rate"] == active.sum() / tokens.size
        assert row["n_contexts_active"] == active.any(axis=1).sum()
        assert row["context_rate"] == active.any(axis=1).sum() / n_contexts
        assert row["max"] == acts.max()
        assert statistics.position_histogram[feature].tolist() == active.sum(axis=0).tolist()
        expected = np.histogram(acts[active], statistics.bin_edges)[0]
        assert statistics.histogram[feature].tolist() == expected.tolist()
        if not active.any():
            assert row[["mean_nonzero", "single_token_share", "top_token_entropy_nats"]].isna().all()
            assert statistics.top_tokens[feature].tolist() == [-1] * N_TOP_TOKENS
            continue
        values, ids = acts[active].tolist(), tokens[active].tolist()
        mass: Counter[int] = Counter()
        for value, token_id in zip(values, ids, strict=True):
            mass[token_id] += value
        ranked = sorted(mass.items(), key=lambda item: (-item[1], item[0]))[:N_TOP_TOKENS]
        filled = ranked + [(-1, 0.0)] * (N_TOP_TOKENS - len(ranked))
        assert statistics.top_tokens[feature].tolist() == [item[0] for item in filled]
        assert statistics.top_token_mass[feature].tolist() == [item[1] for item in filled]
        shares = np.array(list(mass.values())) / sum(values)
        assert row["top_token_entropy_nats"] == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-12)
        assert row["mean_nonzero"] == pytest.approx(np.mean(values))
        assert row["single_token_share"] == _naive_share(values, ids)


def test_the_chunk_size_changes_no_bit() -> None:
    generator = np.random.default_rng(1)
    dense = generator.exponential(size=(20, 8, 30)).astype(np.float32)
    dense[generator.random(dense.shape) < 0.7] = 0
    tokens = generator.integers(0, 9, size=(20, 8)).astype(np.int32)
    whole, chunked = (_statistics(_index(dense), tokens, entries) for entries in (1 << 20, 100))
    assert whole.table.equals(chunked.table)
    for name in ("bin_edges", "histogram", "position_histogram", "top_tokens", "top_token_mass"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(chunked, name), strict=True)


def test_a_single_token_feature_has_share_one_and_entropy_zero() -> None:
    dense = np.zeros((2, 3, 2), dtype=np.float32)
    dense[:, 1, 0] = [1.0, 2.0]
    dense[:, 2, 1] = [1.0, 3.0]
    tokens = np.array([[0, 7, 8], [0, 7, 9]], dtype=np.int32)
    table = _statistics(_index(dense, n_special=2), tokens).table
    assert table["single_token_share"].tolist() == [1.0, 0.5]
    assert table["top_token_entropy_nats"].tolist() == [
        0.0,
        pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75))),
    ]
    assert not np.signbit(table["top_token_entropy_nats"][0])
    assert table["firing_rate"].tolist() == [0.5, 0.5]


def test_a_silent_sae_has_a_row_for_each_feature() -> None:
    statistics = _statistics(_index(np.zeros((2, 3, 4), dtype=np.float32)), np.zeros((2, 3), dtype=np.int32))
    assert len(statistics.table) == 4
    assert statistics.table["max"].tolist() == [0.0] * 4
    assert statistics.table["firing_rate"].tolist() == [0.0] * 4
    assert statistics.histogram.sum() == 0


def test_bin_edges_span_the_values_and_are_log_spaced() -> None:
    edges = log_bin_edges(np.array([8.0, 0.5, 2.0], dtype=np.float32), 4, chunk_entries=1)
    assert edges.tolist() == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert log_bin_edges(np.array([2.0, 2.0], dtype=np.float32), 2).tolist() == [1.0, 2.0, 4.0]


def test_tokens_of_another_corpus_are_refused() -> None:
    with pytest.raises(KindredError, match="gather the features anew"):
        _statistics(_index(np.ones((2, 3, 1), dtype=np.float32)), np.zeros((2, 4), dtype=np.int32))
