"""Runs: stretches of tokens within which a window may lie.

Source: docs/methods.md, section 1: special positions are masked, and no window crosses from one document into
another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.packing import PackedContexts


@dataclass(frozen=True, eq=False)
class Runs:
    """Maximal stretches of consecutive tokens of one document within one context, special positions left out.

    Attributes:
        start: Flat token index (context * context_length + position) of each run's first token, ascending
            [n_runs].
        length: Number of tokens of each run, [n_runs].
    """

    start: NDArray[np.int64]
    length: NDArray[np.int64]


def find_runs(contexts: PackedContexts) -> Runs:
    """Find the runs of a corpus."""
    inside = ~contexts.is_special
    joined = inside[:, 1:] & inside[:, :-1] & (contexts.document[:, 1:] == contexts.document[:, :-1])
    begins = inside.copy()
    begins[:, 1:] &= ~joined
    ends = inside.copy()
    ends[:, :-1] &= ~joined
    start = np.flatnonzero(begins).astype(np.int64)
    return Runs(start, np.flatnonzero(ends).astype(np.int64) + 1 - start)
