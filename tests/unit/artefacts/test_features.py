from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kindred.artefacts import features
from kindred.artefacts.features import FeatureIndex, Features, FeatureStatistics, token_dtype
from kindred.errors import KindredError
from kindred.features.statistics import feature_statistics


def _features(token_type: type = np.uint32) -> Features:
    offsets = np.array([0, 2, 2, 3])
    token = np.array([1, 4, 2], dtype=token_type)
    index = FeatureIndex(3, 2, 3, 5, offsets, token, np.array([0.5, 1.0, 2.0], dtype=np.float32))
    tokens = np.array([[0, 5, 6], [0, 5, 7]], dtype=np.int32)
    return Features(index, feature_statistics(index, tokens, n_bins=4, n_top_tokens=2, n_top_activations=2))


@pytest.mark.parametrize("token_type", [np.uint32, np.int64])
def test_round_trip_is_memory_mapped_and_exact(tmp_path: Path, token_type: type) -> None:
    value = _features(token_type)
    features.save(value, tmp_path)
    loaded = features.load(tmp_path)
    assert (loaded.index.d_sae, loaded.index.n_contexts, loaded.index.context_length) == (3, 2, 3)
    assert loaded.index.n_tokens == 5
    for name in ("offsets", "token", "value"):
        array = getattr(loaded.index, name)
        assert isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, getattr(value.index, name), strict=True)
    for name in ("bin_edges", "histogram", "position_histogram", "top_tokens", "top_token_mass"):
        array = getattr(loaded.statistics, name)
        np.testing.assert_array_equal(array, getattr(value.statistics, name), strict=True)
    pd.testing.assert_frame_equal(loaded.statistics.table, value.statistics.table)


def test_a_feature_is_read_alone(tmp_path: Path) -> None:
    features.save(_features(), tmp_path)
    index = features.load(tmp_path).index
    assert [index.of(feature)[0].tolist() for feature in range(3)] == [[1, 4], [], [2]]
    assert index.of(0)[1].tolist() == [0.5, 1.0]
    with pytest.raises(KindredError, match="no feature 3"):
        index.of(3)


def test_arrays_already_in_their_place_are_kept(tmp_path: Path) -> None:
    value = _features()
    features.save(value, tmp_path)
    mapped = features.load(tmp_path).index
    features.save(Features(mapped, value.statistics), tmp_path)
    assert features.load(tmp_path).index.of(0)[0].tolist() == [1, 4]


def test_same_value_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        features.save(_features(), tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert len(names) == 10
    assert all(
        (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
        for name in names
    )


def test_a_silent_sae_survives(tmp_path: Path) -> None:
    nothing = FeatureIndex(2, 1, 3, 2, np.zeros(3, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.float32))
    tokens = np.zeros((1, 3), dtype=np.int32)
    statistics: FeatureStatistics = feature_statistics(
        nothing, tokens, n_bins=2, n_top_tokens=1, n_top_activations=1
    )
    features.save(Features(nothing, statistics), tmp_path)
    assert len(features.load(tmp_path).index.of(1)[0]) == 0


def test_arrays_that_do_not_fit_are_refused() -> None:
    index = _features().index
    with pytest.raises(KindredError, match="does not fit together"):
        FeatureIndex(3, 2, 3, 5, index.offsets, index.token[:-1], index.value)


def test_flat_indices_beyond_32_bits_get_64() -> None:
    assert token_dtype(1 << 32) is np.uint32
    assert token_dtype((1 << 32) + 1) is np.int64
