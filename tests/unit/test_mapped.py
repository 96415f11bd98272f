from pathlib import Path

import numpy as np
import pytest

from kindred.mapped import readonly, release


def _resident() -> int:
    """Pages of files that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[2])


def test_released_pages_are_given_back_and_keep_what_was_written(tmp_path: Path) -> None:
    array = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.int64, shape=(1 << 20,))
    array[:] = 7
    before = _resident()
    release(array[5:10])
    assert before - _resident() > 1000
    assert (array == 7).all()
    assert (np.load(tmp_path / "a.npy") == 7).all()


def test_an_array_that_is_not_mapped_is_left_alone() -> None:
    array = np.arange(3)
    release(array[1:])
    assert array.tolist() == [0, 1, 2]


def test_a_view_that_cannot_be_written_to_leaves_the_array_writable() -> None:
    array = np.zeros(3)
    with pytest.raises(ValueError, match="read-only"):
        readonly(array)[0] = 1
    array[0] = 2
    assert readonly(array)[0] == 2
