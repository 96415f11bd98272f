"""Arrays that are filled in place, in the file of an artefact that is being written."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def allocate(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Make a .npy file of zeros and map it into memory, where the kernel writes to the disk what it needs room for."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    # The file is sparse so far; filling it through the memory map on a full disk would end the process by a signal.
    with path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def save_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array, unless it maps this very file (writing would truncate its own source)."""
    if (
        isinstance(array, np.memmap)
        and array.filename is not None
        and path.exists()
        and path.samefile(array.filename)
    ):
        array.flush()
    else:
        np.save(path, array, allow_pickle=False)
