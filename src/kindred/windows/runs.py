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


def narrowest_windows(runs: Runs, n_tokens: int, length: int, block_bits: int) -> NDArray[np.uint8]:
    """Return how many tokens all windows have at least that touch a block of 2**block_bits tokens, uint8 [block].

    Where windows of ``length`` tokens fit, that is ``length``, and less where a run is shorter; beyond 255 all is one.
    """
    narrowest = np.full((n_tokens >> block_bits) + 1, min(length, 255), dtype=np.uint8)
    short = runs.length < min(length, 255)
    start, width = runs.start[short], runs.length[short]
    block = start >> block_bits
    while len(block):
        np.minimum.at(narrowest, block, width.astype(np.uint8))
        block = block + 1
        further = block << block_bits < start + width
        block, start, width = block[further], start[further], width[further]
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
