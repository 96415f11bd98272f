"""Arrays mapped from files, whose pages count as memory of the process for as long as they are mapped (mmap(2))."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def release(array: NDArray[Any]) -> None:
    """Give back the memory of a mapped array's pages; they stay in the file, and are read again when touched.

    An array that is not mapped is left alone. What was written to the pages is kept by the system and reaches the
    file; nothing is lost.
    """
    mapping: object = array
    while isinstance(mapping, np.ndarray):
        mapping = mapping.base
    if isinstance(mapping, mmap.mmap):
        mapping.madvise(mmap.MADV_DONTNEED)


def readonly(array: NDArray[Any]) -> NDArray[Any]:
    """Return a plain view that cannot be written to, so that one compiled form serves for mapped and other arrays."""
    view: NDArray[Any] = np.asarray(array).view()
    view.flags.writeable = False
    return view
