"""Transposition of token-major shards into a feature-major index, out of core, in two passes.

The counting sort of sparse matrix transposition (Gustavson 1978, 'Two fast algorithms for sparse matrices').
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.activations import ActivationShard, SparseActivations
from kindred.artefacts.features import FeatureIndex, array_file, token_dtype
from kindred.errors import KindredError

# Entries held in memory at once; a row is never divided, so a block may exceed it by one row.
BLOCK_ENTRIES = 1 << 22


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
    for _, features, _ in _all_blocks(ordered, sae, block_entries):
        offsets[1:] += np.bincount(features, minlength=d_sae)
    np.cumsum(offsets, out=offsets)
    n_entries = int(offsets[-1])
    token = _output(directory, "token", n_entries, np.dtype(token_dtype(is_special.size)))
    value = _output(directory, "value", n_entries, np.dtype(np.float32))
    special = is_special.reshape(-1)
    cursor = offsets[:-1].copy()
    for tokens, features, values in _all_blocks(ordered, sae, block_entries):
        _refuse_special(special, tokens, sae, context_length)
        order = _stable_order(features)
        counts = np.bincount(features, minlength=d_sae)
        # Entry i of the sorted block goes to its feature's cursor plus its rank within the feature.
        starts = np.cumsum(counts) - counts
        destination = np.repeat(cursor - starts, counts)
        destination += np.arange(len(order))
        token[destination] = tokens[order]
        value[destination] = values[order]
        cursor += counts
    n_tokens = int(np.count_nonzero(~is_special))
    return FeatureIndex(d_sae, n_contexts, context_length, n_tokens, offsets, token, value)


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


def _all_blocks(
    shards: Sequence[ActivationShard], sae: str, block_entries: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.unsignedinteger], NDArray[np.float32]]]:
    """Yield (flat token, feature, value) of all activations in token order, a bounded number at a time."""
    for shard in shards:
        first_token = shard.first_context * shard.context_length
        activations = shard.saes[sae]
        for first_row, last_row in _row_blocks(activations, block_entries):
            row_bounds = np.asarray(activations.indptr[first_row : last_row + 1])
            rows = np.arange(first_token + first_row, first_token + last_row)
            entries = slice(int(row_bounds[0]), int(row_bounds[-1]))
            features = np.asarray(activations.feature[entries])
            yield np.repeat(rows, np.diff(row_bounds)), features, np.asarray(activations.value[entries])


def _row_blocks(activations: SparseActivations, block_entries: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of whole rows that hold about ``block_entries`` activations, at least one row each."""
    n_rows = len(activations.indptr) - 1
    first = 0
    while first < n_rows:
        limit = int(activations.indptr[first]) + block_entries
        last = max(first + 1, int(np.searchsorted(activations.indptr, limit, side="right")) - 1)
        yield first, last
        first = last


def _stable_order(features: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Return the stable order by feature in linear time: numpy sorts 16 bits by radix, so 32 take two."""
    if features.dtype == np.uint16:
        return np.argsort(features, kind="stable")
    order = np.argsort(features.astype(np.uint16), kind="stable")
    high = (features >> 16).astype(np.uint16)
    return order[np.argsort(high[order], kind="stable")]


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


def _refuse_special(
    special: NDArray[np.bool_], tokens: NDArray[np.int64], sae: str, context_length: int
) -> None:
    """Raise if any activation lies at a special position."""
    wrong = special[tokens]
    if wrong.any():
        context, position = divmod(int(tokens[np.argmax(wrong)]), context_length)
        raise KindredError(
            f"{sae} has an activation at the special position {position} of context {context}; "
            "the shards were encoded with other tokens: encode them anew"
        )
