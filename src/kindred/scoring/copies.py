"""Text that stands at more than one place of the corpus: a place apart is no text apart.

Tokens are compared by 64-bit hashes. That two different ones of n chunks agree by chance has odds of about n^2 in 2^65
(one in a million for six million chunks), and would take one context out of a test.

Sources: Karp & Rabin 1987, "Efficient randomized pattern-matching algorithms"; Brown et al. 2020 (2005.14165), appendix
C, where text that has a run of tokens in common with a test is not trained on.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.scoring.chunks import Chunks
from kindred.seeding import priorities

SHORTEST_SHARED = 8  # tokens; fewer in common are a phrase, which many texts use
BLOCK_TOKENS = 1 << 20  # hashed together
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no token is multiplied away
_TABLE_BITS = 20  # of a hash, by which nearly all that is not looked for is passed over


class TokenHashes:
    """Hashes of stretches of the corpus.

    The hash of tokens t_0 to t_n is the sum of m(t_i) B^(n - i) modulo 2^64, where m gives each id a random number.
    """

    def __init__(self, tokens: NDArray[np.int32]) -> None:
        """Take the ids of all positions of the corpus, [token]."""
        self._tokens = tokens
        largest = max((int(block.max()) for block in _blocks(tokens)), default=0)
        self._mixed = priorities(np.arange(largest + 1), 0)

    def of(self, start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return the hash of each stretch by its first token and its number of tokens, [stretch]."""
        found = np.zeros(len(start), dtype=np.uint64)
        for offset in range(int(length.max(initial=0))):
            inside = length > offset
            mixed = self._mixed[self._tokens[start[inside] + offset]]
            found[inside] = found[inside] * _BASE + mixed
        return found

    def everywhere(self, length: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield the hashes of the stretches of one length from each token on, a block at a time, with its first token.

        A stretch may run from one document into the next.
        """
        for first in range(0, len(self._tokens) - length + 1, BLOCK_TOKENS):
            stop = min(first + BLOCK_TOKENS, len(self._tokens) - length + 1)
            mixed = self._mixed[self._tokens[first : stop + length - 1]]
            found = np.zeros(stop - first, dtype=np.uint64)
            for offset in range(length):
                found *= _BASE
                found += mixed[offset : offset + stop - first]
            yield first, found


def first_copies(chunks: Chunks, hashes: TokenHashes) -> NDArray[np.int64]:
    """Return for each chunk the first chunk that has the same tokens, which may be itself, [chunk]."""
    parts = []
    for first in range(0, len(chunks), BLOCK_TOKENS // chunks.size):
        lie = chunks.at(np.arange(first, min(first + BLOCK_TOKENS // chunks.size, len(chunks))))
        parts.append(hashes.of(lie.start, lie.length))
    _, first_of, text = np.unique(
        np.concatenate([np.zeros(0, np.uint64), *parts]), return_index=True, return_inverse=True
    )
    return np.asarray(first_of[text], dtype=np.int64)


def chunks_that_share(
    chunks: Chunks, hashes: TokenHashes, positions: pd.DataFrame, context_length: int
) -> dict[int, NDArray[np.int64]]:
    """Return the chunks that have a stretch of tokens in common with a top window of each feature, ascending.

    The stretch is half a chunk, or the whole window if that is shorter; a window of fewer than ``SHORTEST_SHARED``
    tokens is not looked for.

    Args:
        chunks: The chunks of the corpus.
        hashes: Hashes of its tokens.
        positions: Of the top windows of all features, as in the artefact `windows`.
        context_length: Positions of a context.
    """
    start = (positions["context"] * context_length + positions["start"]).to_numpy()
    length = positions["length"].to_numpy()
    feature = positions["feature"].to_numpy()
    shared = np.minimum(length, (chunks.size + 1) // 2)
    found: list[NDArray[np.int64]] = []  # rows of feature and chunk
    for n_tokens in np.unique(shared[shared >= min(SHORTEST_SHARED, (chunks.size + 1) // 2)]).tolist():
        own = shared == n_tokens
        n_starts = length[own] - n_tokens + 1
        within = np.arange(n_starts.sum()) - np.repeat(np.cumsum(n_starts) - n_starts, n_starts)
        starts = np.repeat(start[own], n_starts) + within
        wanted = hashes.of(starts, np.full(len(starts), n_tokens))
        found += _holders(chunks, hashes, wanted, np.repeat(feature[own], n_starts), n_tokens)
    pairs = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)
    return {int(own): pairs[pairs[:, 0] == own, 1] for own in np.unique(pairs[:, 0])}


def _holders(
    chunks: Chunks,
    hashes: TokenHashes,
    wanted: NDArray[np.uint64],
    feature: NDArray[np.int64],
    n_tokens: int,
) -> list[NDArray[np.int64]]:
    """Return pairs of a feature and a chunk that holds a stretch of that feature, [pair, 2], a block at a time."""
    order = np.lexsort((feature, wanted))
    wanted, feature = wanted[order], feature[order]
    new = np.ones(len(wanted), dtype=np.bool_)
    new[1:] = (wanted[1:] != wanted[:-1]) | (feature[1:] != feature[:-1])
    wanted, feature = wanted[new], feature[new]
    shift = np.uint64(64 - _TABLE_BITS)
    table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
    table[wanted >> shift] = True
    pairs = []
    for first, block in hashes.everywhere(n_tokens):
        place = np.flatnonzero(table[block >> shift])
        left, right = (np.searchsorted(wanted, block[place], side=side) for side in ("left", "right"))
        hit = right > left
        place, left, n_features = place[hit] + first, left[hit], (right - left)[hit]
        chunk = chunks.of_tokens(place)
        inside = (chunk >= 0) & (chunk == chunks.of_tokens(place + n_tokens - 1))
        chunk, left, n_features = chunk[inside], left[inside], n_features[inside]
        within = np.arange(n_features.sum()) - np.repeat(np.cumsum(n_features) - n_features, n_features)
        owner = feature[np.repeat(left, n_features) + within]
        pairs.append(np.unique(np.stack([owner, np.repeat(chunk, n_features)], axis=1), axis=0))
    return pairs


def _blocks(tokens: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
    return (tokens[first : first + BLOCK_TOKENS] for first in range(0, len(tokens), BLOCK_TOKENS))
