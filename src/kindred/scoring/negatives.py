"""Contexts in which a feature is silent: random ones, or hard ones that look like those in which it fires.

Source: METHODS, embedding score (hard negatives by decoder cosine and by embedding).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.scoring.chunks import Chunks, chunk_activations
from kindred.scoring.contexts import Firing
from kindred.seeding import draw, generator, seed_of

POOL_FACTOR = 10  # candidates for each negative; shared by all features, so that each is embedded once
N_NEIGHBOURS = 10  # nearest features whose contexts are hard negatives


class CandidatePool:
    """One random order of all texts, of which features draw their negatives from the beginning.

    The order hangs on the seed alone, so what a feature gets does not hang on which others are scored.
    """

    def __init__(self, texts: NDArray[np.int64], n_negative: int, seed: int) -> None:
        """Put the chunks in order; of those with the same tokens, which `texts` tells, the first stands for all."""
        order = np.arange(len(texts), dtype=np.int32 if len(texts) < 1 << 31 else np.int64)
        generator(seed, "scoring", "pool").shuffle(order)
        self._order = order[texts[order] == order]
        self._n_negative = n_negative

    def silent(self, fires: Firing) -> NDArray[np.int64]:
        """Return the candidates of a feature, ascending.

        They come from the first ``POOL_FACTOR`` times as many chunks as negatives are wanted; that stretch is
        doubled for a feature that is silent in too few of them.
        """
        size = POOL_FACTOR * self._n_negative
        while True:
            pool = self._order[:size].astype(np.int64)
            found = pool[fires.is_silent(pool)]
            if len(found) >= self._n_negative or size >= len(self._order):
                return np.sort(found)
            size *= 2


def nearest_by_embedding(
    candidates: NDArray[np.int64],
    positives: NDArray[np.int64],
    embed: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    n_negative: int,
) -> NDArray[np.int64]:
    """Return the candidates whose embeddings are nearest to the mean of the positives', ascending.

    Args:
        candidates: Chunks in which the feature is silent, ascending.
        positives: The positive test contexts; without any there is nothing to be near to, so none is returned.
        embed: Gives normalised embeddings of chunks, [chunk, dimension].
        n_negative: How many are wanted.
    """
    if not len(positives) or not len(candidates):
        return candidates[:0]
    centre = embed(positives).mean(axis=0, dtype=np.float64)
    similarity = embed(candidates).astype(np.float64) @ centre
    return np.sort(candidates[np.argsort(-similarity, kind="stable")[:n_negative]])


def from_neighbours(
    feature: int,
    fires: Firing,
    chunks: Chunks,
    index: FeatureIndex,
    directions: NDArray[np.float32],
    n_negative: int,
    seed: int,
) -> NDArray[np.int64]:
    """Draw chunks in which a feature with a near decoder row fires and this one is silent, ascending.

    The nearest features give equal shares, the nearest first; what one cannot give is divided among the rest. No text
    is drawn twice.

    Args:
        feature: The feature.
        fires: Where it fires.
        chunks: The chunks of the corpus.
        index: Activations of the SAE.
        directions: Decoder rows of unit norm, [d_sae, d_model].
        n_negative: How many are wanted.
        seed: Of the experiment; each neighbour has a draw of its own.
    """
    taken = np.zeros(0, dtype=np.int64)
    neighbours = nearest_features(feature, directions, np.diff(index.offsets) > 0)
    for place, neighbour in enumerate(neighbours):
        active, _ = chunk_activations(chunks, *index.of(int(neighbour)))
        candidates = active[fires.is_silent(active)]
        _, first = np.unique(fires.texts[candidates], return_index=True)
        candidates = candidates[np.sort(first)]
        candidates = candidates[~np.isin(fires.texts[candidates], fires.texts[taken])]
        share = -(-(n_negative - len(taken)) // (len(neighbours) - place))
        key = seed_of(seed, "scoring", "negatives", feature, int(neighbour))
        taken = np.concatenate([taken, draw(candidates, share, key)])
    return np.sort(taken)


def nearest_features(
    feature: int, directions: NDArray[np.float32], fires: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the features nearest by decoder cosine that fire at all, nearest first, ties by index."""
    cosine = directions @ directions[feature]
    eligible = fires.copy()
    eligible[feature] = False
    others = np.flatnonzero(eligible)
    return others[np.argsort(-cosine[others], kind="stable")[:N_NEIGHBOURS]]
