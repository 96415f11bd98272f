from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.artefacts.growing import GrowingArray


@given(st.lists(st.integers(0, 300), max_size=6), st.sampled_from([np.int64, np.uint16, np.float32]))
@settings(max_examples=50, deadline=None)
def test_bytes_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dtype: type
) -> None:
    folder = tmp_path_factory.mktemp("growing")
    parts = [np.arange(length).astype(dtype) for length in lengths]
    with (folder / "parts.npy").open("wb") as file:
        array = GrowingArray(file, np.dtype(dtype))
        for part in parts:
            array.append(part)
        array.finish()
    np.save(folder / "whole.npy", np.concatenate([np.zeros(0, dtype), *parts]))
    assert (folder / "parts.npy").read_bytes() == (folder / "whole.npy").read_bytes()


def test_a_large_length_fits_the_header(tmp_path: Path) -> None:
    """What no test can write: the header must not grow with the length."""
    with (tmp_path / "array.npy").open("wb") as file:
        array = GrowingArray(file, np.dtype(np.float32))
        array._length = 10**15
        array.finish()
        assert file.tell() == 128


def test_parts_are_converted_and_made_contiguous(tmp_path: Path) -> None:
    with (tmp_path / "array.npy").open("wb") as file:
        array = GrowingArray(file, np.dtype(np.uint16))
        array.append(np.arange(10, dtype=np.int32)[::3])
        array.finish()
    np.testing.assert_array_equal(
        np.load(tmp_path / "array.npy"), np.array([0, 3, 6, 9], np.uint16), strict=True
    )
