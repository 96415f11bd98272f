"""Loops compiled on first use, by numba; the compiled form is kept beside the sources for later processes.

No fast-math and one thread: the same bytes come out on every processor and at any number of threads. What is kept is
renewed when the file of the compiled function changes, so such a function calls only those of its own file (a test
holds this).
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers; it releases the interpreter's lock while it runs."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))
