"""Chunks: the short passages of the corpus that test contexts are drawn from.

Source: METHODS, embedding score; Paulo et al. 2024 (2410.13928), section 3.3.4, which tests on 32 tokens.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.windows.runs import find_runs


@dataclass(frozen=True, eq=False)
class Chunks:
    """Stretches of the corpus that do not overlap and lie within one document and context each.

    Attributes:
        start: Flat index (context * context_length + position) of each first token, ascending, int64 [chunk].
        length: Tokens of each, int64 [chunk].
        run_start: Flat index where the run of tokens begins that the chunk was cut from, int64 [chunk].
        run_length: Tokens of that run, int64 [chunk].
    """

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    run_start: NDArray[np.int64]
    run_length: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.start)

    def of_tokens(self, token: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the chunk that each flat token index lies in, -1 where it lies in none."""
        chunk = np.searchsorted(self.start, token, side="right") - 1
        inside = (chunk >= 0) & (token < self.start[chunk] + self.length[chunk])
        return np.where(inside, chunk, -1).astype(np.int64)


def cut_chunks(contexts: PackedContexts, length: int) -> Chunks:
    """Cut each run of one document's tokens into chunks from its first token on.

    What remains at the end of a run is a chunk of its own if it has at least half the length, so that short
    documents are tested too; a shorter rest says too little to be embedded and is left out.

    Raises:
        KindredError: If no run is long enough for a single chunk.
    """
    runs = find_runs(contexts)
    shortest = (length + 1) // 2
    per_run = runs.length // length + (runs.length % length >= shortest)
    if not per_run.any():
        raise KindredError(
            f"scoring.context_length is {length}, but no document of the corpus has {shortest} tokens in a row; "
            "make it smaller, or tokens.context_length larger"
        )
    run = np.repeat(np.arange(len(per_run)), per_run)
    ordinal = np.arange(len(run)) - np.repeat(np.cumsum(per_run) - per_run, per_run)
    run_start, run_length = runs.start[run], runs.length[run]
    return Chunks(
        start=run_start + ordinal * length,
        length=np.minimum(run_length - ordinal * length, length),
        run_start=run_start,
        run_length=run_length,
    )


def chunk_activations(
    chunks: Chunks, token: NDArray[np.integer], value: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the chunks in which a feature fires, ascending, and its largest activation in each.

    Args:
        chunks: The chunks of the corpus.
        token: Flat indices of the tokens where the feature fires, ascending.
        value: Its activations there.
    """
    chunk = chunks.of_tokens(token)
    inside = chunk >= 0
    chunk, value = chunk[inside], value[inside]
    if not len(chunk):
        return chunk, np.asarray(value)
    first = np.flatnonzero(np.concatenate([[True], chunk[1:] != chunk[:-1]]))
    return chunk[first], np.maximum.reduceat(value, first)
