"""Transposition of token-major shards into a feature-major index, out of core, in two passes.

The counting sort of sparse matrix transposition (Gustavson 1978, 'Two fast algorithms for sparse matrices'), by the
digits of the feature within each block, so that few places are written to at a time.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.activations import ActivationShard, SparseActivations
from kindred.artefacts.features import FeatureIndex, array_file, token_dtype
from kindred.errors import KindredError
from kindred.features.transposition import count, deal, place
from kindred.mapped import readonly, release

# Entries held in memory at once (8 bytes each); a row is never divided, so a block may exceed it by one row.
BLOCK_ENTRIES = 1 << 23
# Features of a bucket at most, and rows of a block, as powers of two: together they fit into 32 bits.
BUCKET_BITS = 7
BLOCK_ROWS = 1 << 24
# After so many entries the pages written to are given back (8 bytes each, and up to two pages for each feature).
RELEASE_ENTRIES = 1 << 25


def gather(
    shards: Sequence[ActivationShard],
    sae: str,
    is_special: NDArray[np.bool_],
    *,
    directory: Path | None = None,
    block_entries: int = BLOCK_ENTRIES,
) -> FeatureIndex:
    """Order one SAE's activations by feature, so that a feature is read at the cost of its own activations.

    The first pass counts, the second scatters block by block; memory stays at one block and O(d_sae) when the
    shards are memory-mapped and ``directory`` is given. The result depends on neither blocks nor shards.

    Args:
        shards: All shards of the corpus, in any order.
        sae: The SAE's name within the shards.
        is_special: [context, position], the corpus's special positions (BOS, EOS, padding).
        directory: Where token.npy and value.npy are written memory-mapped; None keeps them in memory.
        block_entries: Activations handled at once.

    Raises:
        KindredError: If the shards do not make up the corpus, lack the SAE, or are active at special positions.
    """
    ordered = _checked(shards, sae, is_special)
    d_sae = ordered[0].d_sae[sae]
    n_contexts, context_length = is_special.shape
    offsets = np.zeros(d_sae + 1, dtype=np.int64)
    for block in _all_blocks(ordered, sae, block_entries):
        wrong = count(block.feature, offsets[1:])
        if wrong >= 0:
            raise KindredError(
                f"{sae} has {d_sae} features, but an activation of feature {int(block.feature[wrong])}; "
                "encode the shards anew"
            )
        release(block.feature)
    np.cumsum(offsets, out=offsets)
    n_entries = int(offsets[-1])
    token = _output(directory, "token", n_entries, np.dtype(token_dtype(is_special.size)))
    value = _output(directory, "value", n_entries, np.dtype(np.float32))
    _scatter(ordered, sae, is_special, block_entries, offsets[:-1].astype(np.uint64), token, value)
    n_tokens = is_special.size - int(np.count_nonzero(is_special))
    return FeatureIndex(d_sae, n_contexts, context_length, n_tokens, offsets, token, value)


def _scatter(
    shards: Sequence[ActivationShard],
    sae: str,
    is_special: NDArray[np.bool_],
    block_entries: int,
    cursor: NDArray[np.uint64],
    token: NDArray[Any],
    value: NDArray[np.float32],
) -> None:
    """Write all activations where they belong; ``cursor`` says where each feature's first does."""
    bucket_bits = min((len(cursor) - 1).bit_length() // 2, BUCKET_BITS)
    bucket = np.zeros(((len(cursor) - 1) >> bucket_bits) + 2, dtype=np.uint64)
    packed = np.zeros(0, dtype=np.uint64)
    special = is_special.reshape(-1)
    n_written = 0
    for block in _all_blocks(shards, sae, block_entries):
        n_entries = len(block.feature)
        if n_entries > len(packed):
            packed = np.empty(max(n_entries, min(block_entries, len(token))), dtype=np.uint64)
        here = readonly(special[block.first_token : block.first_token + len(block.row_bounds) - 1])
        bits = readonly(block.value).view(np.uint32)
        wrong = deal(block.row_bounds, block.feature, bits, here, bucket_bits, bucket, packed)
        if wrong >= 0:
            context, position = divmod(block.first_token + wrong, is_special.shape[1])
            raise KindredError(
                f"{sae} has an activation at the special position {position} of context {context}; "
                "the shards were encoded with other tokens: encode them anew"
            )
        place(block.first_token, bucket_bits, bucket, packed, cursor, token, value.view(np.uint32))
        n_written += n_entries
        for array in (
            block.feature,
            block.value,
            is_special,
            *((token, value) if n_written >= RELEASE_ENTRIES else ()),
        ):
            release(array)
        n_written %= RELEASE_ENTRIES


def _checked(
    shards: Sequence[ActivationShard], sae: str, is_special: NDArray[np.bool_]
) -> list[ActivationShard]:
    """Return the shards in corpus order, checked to cover each context once and to agree on the SAE."""
    ordered = sorted(shards, key=lambda shard: (shard.first_context, shard.n_contexts))
    n_contexts, context_length = is_special.shape
    expected = 0
    for shard in ordered:
        if sae not in shard.saes:
            raise KindredError(
                f"the shard of contexts from {shard.first_context} lacks the SAE {sae} "
                f"(it has {', '.join(sorted(shard.saes))}); encode the shards anew"
            )
        if shard.first_context != expected or shard.context_length != context_length:
            raise KindredError(
                f"the shards of {sae} do not fit the corpus: expected contexts of {context_length} tokens "
                f"from {expected} on, found contexts of {shard.context_length} from {shard.first_context} on; "
                "encode them anew"
            )
        if shard.d_sae[sae] != ordered[0].d_sae[sae]:
            raise KindredError(
                f"the shards of {sae} disagree on d_sae: {shard.d_sae[sae]} and {ordered[0].d_sae[sae]}; "
                "encode them anew"
            )
        expected += shard.n_contexts
    if not ordered or expected != n_contexts:
        raise KindredError(
            f"the shards of {sae} hold {expected} of {n_contexts} contexts; encode the missing ones"
        )
    return ordered


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows of a shard that follow one another.

    Attributes:
        first_token: Flat token index of the first row.
        row_bounds: First entry of each row, and one past the last, as in the shard, int64 [row + 1].
        feature: Of each entry.
        value: Of each entry, float32.
    """

    first_token: int
    row_bounds: NDArray[np.int64]
    feature: NDArray[np.unsignedinteger]
    value: NDArray[np.float32]


def _all_blocks(shards: Sequence[ActivationShard], sae: str, block_entries: int) -> Iterator[_Block]:
    """Yield all activations in token order, a bounded number at a time."""
    for shard in shards:
        first_token = shard.first_context * shard.context_length
        activations = shard.saes[sae]
        for first_row, last_row in _row_blocks(activations, block_entries):
            row_bounds = readonly(activations.indptr[first_row : last_row + 1])
            entries = slice(int(row_bounds[0]), int(row_bounds[-1]))
            feature, value = readonly(activations.feature[entries]), readonly(activations.value[entries])
            yield _Block(first_token + first_row, row_bounds, feature, value)


def _row_blocks(activations: SparseActivations, block_entries: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of whole rows that hold about ``block_entries`` activations, at least one row each."""
    n_rows = len(activations.indptr) - 1
    first = 0
    while first < n_rows:
        limit = int(activations.indptr[first]) + block_entries
        fitting = int(np.searchsorted(activations.indptr, limit, side="right")) - 1
        last = min(max(first + 1, fitting), first + BLOCK_ROWS)
        yield first, last
        first = last


def _output(directory: Path | None, name: str, n_entries: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array to fill, on disk if a directory is given."""
    if directory is None:
        return np.empty(n_entries, dtype=dtype)
    path = array_file(directory, name)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n_entries,))
    # The file is sparse so far; filling it through the memory map on a full disk would end the process by a signal.
    with path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
