"""Runs: stretches of tokens within which a window may lie.

Source: docs/methods.md, section 1: special positions are masked, and no window crosses from one document into
another.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.packing import PackedContexts

BLOCK_TOKENS = 1 << 20  # looked at together


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
    """Find the runs of a corpus, a block of contexts at a time."""
    blocks = list(_blocks(contexts))
    nothing = np.zeros(0, dtype=np.int64)
    return Runs(
        np.concatenate([nothing, *(block.start for block in blocks)]),
        np.concatenate([nothing, *(block.length for block in blocks)]),
    )


def narrowest_windows(contexts: PackedContexts, length: int) -> NDArray[np.int32]:
    """Return the tokens of the narrowest window of each context, int32 [context].

    That is ``length``, or less where a run is shorter; ``length`` too where there is no run.
    """
    narrowest = np.full(contexts.n_contexts, length, dtype=np.int32)
    for block in _blocks(contexts):
        np.minimum.at(narrowest, block.start // contexts.tokens.shape[1], block.length)
    return narrowest


def _blocks(contexts: PackedContexts) -> Iterator[Runs]:
    """Yield the runs of some contexts at a time."""
    n_contexts, context_length = contexts.is_special.shape
    step = max(BLOCK_TOKENS // max(context_length, 1), 1)
    for first in range(0, n_contexts, step):
        document = contexts.document[first : first + step]
        inside = ~contexts.is_special[first : first + step]
        joined = inside[:, 1:] & inside[:, :-1] & (document[:, 1:] == document[:, :-1])
        begins, ends = inside.copy(), inside
        begins[:, 1:] &= ~joined
        ends[:, :-1] &= ~joined
        start = np.flatnonzero(begins).astype(np.int64)
        length = np.flatnonzero(ends).astype(np.int64) + 1 - start
        yield Runs(start + first * context_length, length)
