"""Arrays whose length is known only when the last part has been written."""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


class GrowingArray:
    """A one-dimensional .npy file that is written part by part, with the bytes of `np.save` of the whole.

    NumPy leaves room in the header for a first axis of any length, so that only the header is written twice.
    """

    def __init__(self, file: BinaryIO, dtype: np.dtype[Any]) -> None:
        """Begin an array.

        Args:
            file: Empty and open for writing; the caller closes it.
            dtype: Of the entries.
        """
        self._file = file
        self._dtype = dtype
        self._length = 0
        self._write_header()
        self._begin = file.tell()

    def append(self, part: NDArray[Any]) -> None:
        """Write the entries that come next, converted to the dtype of the array."""
        self._file.write(np.ascontiguousarray(part, dtype=self._dtype).data)
        self._length += len(part)

    def finish(self) -> None:
        """Write the length; nothing can be appended any more."""
        self._file.seek(0)
        self._write_header()
        if self._file.tell() != self._begin:
            raise AssertionError("NumPy's header has grown with the length")  # its format 1.0 rules that out

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._length,),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
