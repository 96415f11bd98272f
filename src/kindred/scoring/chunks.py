"""Chunks: the short passages of the corpus that test contexts are drawn from.

Source: METHODS, embedding score; Paulo et al. 2024 (2410.13928), section 3.3.4, which tests on 32 tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.windows.runs import Runs, find_runs

# Activations of one feature that are looked at together.
BLOCK_ENTRIES = 1 << 20


@dataclass(frozen=True, eq=False)
class Stretches:
    """Where some chunks lie.

    Attributes:
        start: Flat index (context * context_length + position) of each first token, int64 [chunk].
        length: Tokens of each, int64 [chunk].
        run_start: Flat index where the run of tokens begins that the chunk was cut from, int64 [chunk].
        run_length: Tokens of that run, int64 [chunk].
    """

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    run_start: NDArray[np.int64]
    run_length: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunks:
    """Stretches of the corpus that do not overlap and lie within one document and context each.

    What is kept is 24 bytes for each run of tokens (without packing, a context has one); where a chunk lies is
    worked out when it is asked for.

    Attributes:
        runs: The runs of the corpus, those that are too short for a chunk too.
        first: Chunks before each run, and in all, int64 [run + 1].
        size: Tokens of a chunk; the last one of a run may have fewer.
    """

    runs: Runs
    first: NDArray[np.int64]
    size: int

    def __len__(self) -> int:
        """Return the number of chunks."""
        return int(self.first[-1])

    def at(self, chunks: NDArray[np.int64]) -> Stretches:
        """Return where some chunks lie."""
        run = np.searchsorted(self.first, chunks, side="right") - 1
        run_start, run_length = self.runs.start[run], self.runs.length[run]
        offset = (chunks - self.first[run]) * self.size
        return Stretches(
            run_start + offset, np.minimum(run_length - offset, self.size), run_start, run_length
        )

    @cached_property
    def run_ends(self) -> NDArray[np.int64]:
        """Tokens of the runs up to the end of each, int64 [run]."""
        return np.cumsum(self.runs.length)

    def of_tokens(self, token: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the chunk that each flat token index lies in, -1 where it lies in none."""
        run = np.searchsorted(self.runs.start, token, side="right") - 1
        offset = token - self.runs.start[run]
        ordinal = offset // self.size
        inside = (run >= 0) & (offset < self.runs.length[run])
        inside &= ordinal < self.first[run + 1] - self.first[run]
        return np.where(inside, self.first[run] + ordinal, -1).astype(np.int64)


def cut_chunks(contexts: PackedContexts, length: int) -> Chunks:
    """Cut each run of one document's tokens into chunks from its first token on.

    What remains at the end of a run is a chunk of its own if it has at least half the length, so that short
    documents are tested too; a shorter rest says too little to be embedded and is left out.

    Raises:
        KindredError: If no run is long enough for a single chunk.
    """
    runs = find_runs(contexts)
    shortest = (length + 1) // 2
    first = np.zeros(len(runs.length) + 1, dtype=np.int64)
    np.cumsum(runs.length // length + (runs.length % length >= shortest), out=first[1:])
    if not first[-1]:
        raise KindredError(
            f"scoring.context_length is {length}, but no document of the corpus has {shortest} tokens in a row; "
            "make it smaller, or tokens.context_length larger"
        )
    return Chunks(runs, first, length)


def chunk_activations(
    chunks: Chunks, token: NDArray[np.integer], value: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the chunks in which a feature fires, ascending, and its largest activation in each.

    Args:
        chunks: The chunks of the corpus.
        token: Flat indices of the tokens where the feature fires, ascending; read a block at a time.
        value: Its activations there.
    """
    parts = [_of_block(chunks, token[block], value[block]) for block in entry_blocks(len(token))]
    chunk = np.concatenate([np.zeros(0, dtype=np.int64), *(chunk for chunk, _ in parts)])
    largest = np.concatenate([np.zeros(0, dtype=np.float32), *(largest for _, largest in parts)])
    return _largest_of_each(chunk, largest)  # a chunk may lie across two blocks


def entry_blocks(n_entries: int) -> Iterator[slice]:
    """Yield the blocks in which a feature's activations are read."""
    for start in range(0, n_entries, BLOCK_ENTRIES):
        yield slice(start, start + BLOCK_ENTRIES)


def _of_block(
    chunks: Chunks, token: NDArray[np.integer], value: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    chunk = chunks.of_tokens(token)
    inside = chunk >= 0
    return _largest_of_each(chunk[inside], value[inside])


def _largest_of_each(
    chunk: NDArray[np.int64], value: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each chunk once, with the largest of its values; equal chunks stand together."""
    if not len(chunk):
        return chunk, np.asarray(value)
    first = np.flatnonzero(np.concatenate([[True], chunk[1:] != chunk[:-1]]))
    return chunk[first], np.maximum.reduceat(value, first)
