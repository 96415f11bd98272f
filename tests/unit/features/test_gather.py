from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.artefacts.activations import ActivationShard, SparseActivations, feature_dtype
from kindred.errors import KindredError
from kindred.features.gather import gather


def _shard(dense: NDArray[np.float32], first_context: int, n_contexts: int, d_sae: int) -> ActivationShard:
    """A shard of a dense [context, position, feature] corpus."""
    part = dense[first_context : first_context + n_contexts].reshape(-1, dense.shape[2])
    row, feature = np.nonzero(part)
    indptr = np.zeros(len(part) + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=len(part)), out=indptr[1:])
    # The features are spread over the whole of d_sae, so that 32-bit ones have high bits to sort by.
    spread = (feature * (d_sae // dense.shape[2])).astype(feature_dtype(d_sae))
    sparse = SparseActivations(indptr, spread, part[row, feature])
    return ActivationShard(first_context, n_contexts, dense.shape[1], {"a": d_sae}, {"a": sparse})


@st.composite
def corpora(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[tuple[int, int]]]:
    """A random sparse corpus, its special positions, and the contexts of some shards."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_contexts, length, n_features = draw(st.tuples(st.integers(1, 7), st.integers(2, 5), st.integers(1, 6)))
    dense = generator.exponential(size=(n_contexts, length, n_features)).astype(np.float32) + np.float32(1e-3)
    dense[generator.random(dense.shape) < draw(st.floats(0, 1))] = 0
    is_special = generator.random((n_contexts, length)) < 0.2
    dense[is_special] = 0
    cuts = sorted(draw(st.lists(st.integers(0, n_contexts), max_size=4)))
    bounds = [0, *cuts, n_contexts]
    return dense, is_special, list(zip(bounds[:-1], np.diff(bounds).tolist(), strict=True))


@settings(deadline=None)
@given(corpora(), st.integers(1, 20), st.sampled_from([60, 120_000]), st.randoms(use_true_random=False))
def test_gather_equals_brute_force_for_any_shards(corpus, block_entries, d_sae, random) -> None:  # type: ignore[no-untyped-def]
    dense, is_special, parts = corpus
    shards = [_shard(dense, first, count, d_sae) for first, count in parts]
    random.shuffle(shards)
    index = gather(shards, "a", is_special, block_entries=block_entries)
    flat = dense.reshape(-1, dense.shape[2])
    step = d_sae // dense.shape[2]
    for feature in range(dense.shape[2]):
        token, value = index.of(feature * step)
        np.testing.assert_array_equal(token, np.flatnonzero(flat[:, feature]))
        np.testing.assert_array_equal(value, flat[token, feature], strict=True)
        assert not is_special.reshape(-1)[token].any()
    assert index.offsets[-1] == np.count_nonzero(dense)
    assert index.n_tokens == np.count_nonzero(~is_special)
    assert (index.n_contexts, index.context_length) == is_special.shape


def _corpus() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    dense = np.random.default_rng(0).exponential(size=(6, 4, 5)).astype(np.float32)
    dense[:, 0] = 0
    is_special = np.zeros((6, 4), dtype=np.bool_)
    is_special[:, 0] = True
    return dense, is_special


def test_on_disk_equals_in_memory(tmp_path: Path) -> None:
    dense, is_special = _corpus()
    shards = [_shard(dense, 0, 2, 5), _shard(dense, 2, 4, 5)]
    in_memory = gather(shards, "a", is_special)
    on_disk = gather(shards, "a", is_special, directory=tmp_path, block_entries=7)
    assert isinstance(on_disk.token, np.memmap)
    np.testing.assert_array_equal(on_disk.token, in_memory.token, strict=True)
    np.testing.assert_array_equal(on_disk.value, in_memory.value, strict=True)


def test_shards_that_do_not_make_up_the_corpus_are_refused() -> None:
    dense, is_special = _corpus()
    first, second = _shard(dense, 0, 2, 5), _shard(dense, 2, 4, 5)
    with pytest.raises(KindredError, match="hold 2 of 6 contexts"):
        gather([first], "a", is_special)
    with pytest.raises(KindredError, match="from 0 on, found contexts of 4 from 2 on"):
        gather([second], "a", is_special)
    with pytest.raises(KindredError, match="from 2 on, found contexts of 4 from 0 on"):
        gather([first, first, second], "a", is_special)
    with pytest.raises(KindredError, match="lacks the SAE b"):
        gather([first, second], "b", is_special)
    with pytest.raises(KindredError, match="disagree on d_sae"):
        gather([first, _shard(dense, 2, 4, 10)], "a", is_special)
    with pytest.raises(KindredError, match="0 of 6 contexts"):
        gather([], "a", is_special)


def test_a_feature_that_the_sae_lacks_is_refused() -> None:
    dense, is_special = _corpus()
    shard = _shard(dense, 0, 6, 5)
    wrong = ActivationShard(0, 6, 4, {"a": 4}, shard.saes)
    with pytest.raises(KindredError, match="has 4 features, but an activation of feature 4"):
        gather([wrong], "a", is_special)


def test_activations_at_special_positions_are_refused() -> None:
    dense, is_special = _corpus()
    is_special[3, 2] = True
    with pytest.raises(KindredError, match="special position 2 of context 3"):
        gather([_shard(dense, 0, 6, 5)], "a", is_special)
