import resource
from pathlib import Path

import numpy as np
import pytest

from kindred.artefacts import activations
from kindred.artefacts.activations import ActivationShard, SparseActivations, TokenBatch, feature_dtype
from kindred.artefacts.folder import Made
from kindred.artefacts.writing import writing
from kindred.errors import KindredError


def _shard(d_sae: int) -> ActivationShard:
    sparse = SparseActivations(
        np.array([0, 0, 2, 3, 3, 3, 4]),
        np.array([1, d_sae - 1, 0, 2], dtype=feature_dtype(d_sae)),
        np.array([0.5, 1.0, 2.0, 3.0], dtype=np.float32),
    )
    return ActivationShard(4, 2, 3, {"a": d_sae}, {"a": sparse})


@pytest.mark.parametrize(("d_sae", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_round_trip_is_memory_mapped_and_exact(tmp_path: Path, d_sae: int, dtype: type) -> None:
    shard = _shard(d_sae)
    activations.save(shard, tmp_path)
    loaded = activations.load(tmp_path)
    assert (loaded.first_context, loaded.n_contexts, loaded.context_length) == (4, 2, 3)
    assert loaded.d_sae == {"a": d_sae}
    assert loaded.saes["a"].feature.dtype == dtype
    for name in ("indptr", "feature", "value"):
        array = getattr(loaded.saes["a"], name)
        assert isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, getattr(shard.saes["a"], name), strict=True)


def test_a_shard_without_contexts_survives(tmp_path: Path) -> None:
    nothing = SparseActivations(np.zeros(1, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.float32))
    activations.save(ActivationShard(7, 0, 3, {"a": 5}, {"a": nothing}), tmp_path)
    loaded = activations.load(tmp_path)
    assert (loaded.n_contexts, len(loaded.saes["a"].value)) == (0, 0)


def test_same_value_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        activations.save(_shard(9), tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*.*"))
    assert len(files) == 4
    assert all(
        (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
        for file in files
    )


def _batches(shard: ActivationShard, size: int) -> list[dict[str, TokenBatch]]:
    """The shard's one SAE in runs of so many tokens."""
    (sparse,) = shard.saes.values()
    ends = sparse.indptr
    starts = range(0, len(ends) - 1, size)
    runs = [(start, min(start + size, len(ends) - 1)) for start in starts]
    return [
        {
            "a": TokenBatch(
                np.diff(ends[start : stop + 1]),
                sparse.feature[ends[start] : ends[stop]],
                sparse.value[ends[start] : ends[stop]],
            )
        }
        for start, stop in runs
    ]


@pytest.mark.parametrize("d_sae", [9, (1 << 16) + 1])
@pytest.mark.parametrize("size", [1, 2, 4, 6, 100])
def test_batches_make_the_bytes_of_whole_arrays(tmp_path: Path, size: int, d_sae: int) -> None:
    shard = _shard(d_sae)
    with activations.writing_shard(tmp_path, 4, 2, 3, {"a": d_sae}) as append:
        for batch in _batches(shard, size):
            append(batch)
    for name in ("indptr", "feature", "value"):
        np.save(tmp_path / "whole.npy", getattr(shard.saes["a"], name))
        assert (tmp_path / "a" / f"{name}.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert activations.load(tmp_path).n_contexts == 2


def test_no_batch_is_an_empty_shard(tmp_path: Path) -> None:
    with activations.writing_shard(tmp_path, 4, 0, 3, {"a": 9}):
        pass
    loaded = activations.load(tmp_path)
    assert (loaded.n_contexts, len(loaded.saes["a"].value)) == (0, 0)


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk."""
    made = Made(kind="activations", version=1, identity="000", params={}, sources="", inputs={})
    batch = {"a": TokenBatch(np.full(30_000, 1), np.zeros(30_000, np.uint16), np.ones(30_000, np.float32))}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with (
            pytest.raises(KindredError, match="000: no room left to write it"),
            writing(tmp_path / "000", made) as directory,
            activations.writing_shard(directory, 0, 300, 100, {"a": 9}) as append,
        ):
            append(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_arrays_that_do_not_fit_are_refused() -> None:
    sparse = _shard(9).saes["a"]
    with pytest.raises(KindredError, match="do not fit together"):
        SparseActivations(sparse.indptr, sparse.feature[:-1], sparse.value)
    with pytest.raises(KindredError, match="activations of a have 6 rows"):
        ActivationShard(0, 1, 3, {"a": 9}, {"a": sparse})
