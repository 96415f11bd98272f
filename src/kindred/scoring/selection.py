"""The test contexts of every feature of one SAE, as the params ask for them.

Source: METHODS, embedding score.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.params import ScoringParams
from kindred.scoring.chunks import Chunks
from kindred.scoring.contexts import Firing, Positives, draw_positives, firing
from kindred.scoring.negatives import CandidatePool, from_neighbours, nearest_by_embedding
from kindred.seeding import draw, seed_of

EmbedChunks = Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ContextSet:
    """The test contexts of one feature.

    Attributes:
        feature: The feature.
        positives: Chunks in which it fires, with their deciles.
        negatives: Chunks in which it is silent, ascending, int64.
    """

    feature: int
    positives: Positives
    negatives: NDArray[np.int64]

    @property
    def chunks(self) -> NDArray[np.int64]:
        """All chunks, positives first."""
        return np.concatenate([self.positives.chunk, self.negatives])


def select_contexts(
    features: NDArray[np.int64],
    chunks: Chunks,
    index: FeatureIndex,
    positions: pd.DataFrame,
    texts: NDArray[np.int64],
    sharing: Mapping[int, NDArray[np.int64]],
    decoder_rows: NDArray[np.float32],
    embed_chunks: EmbedChunks,
    params: ScoringParams,
    seed: int,
) -> list[ContextSet]:
    """Draw the test contexts of each feature.

    The draws of a feature are by priorities that hang on the seed, the feature and the chunk, so they do not hang
    on which others are scored, and where a few chunks begin or cease to fire about as few of the drawn change.

    Args:
        features: The features.
        chunks: The chunks of the corpus.
        index: Activations of the SAE.
        positions: Of the top windows of all features; chunks that overlap those of a feature are not drawn.
        texts: For each chunk, the first one that has the same tokens; no text is drawn twice.
        sharing: By feature, chunks that repeat a passage of its top windows; they and their copies are not drawn.
        decoder_rows: Decoder of the SAE, [d_sae, d_model]; used by ``negatives: decoder`` alone.
        embed_chunks: Gives embeddings of chunks; used by ``negatives: embedding`` alone.
        params: Numbers of contexts and the kind of negatives.
        seed: Of the experiment.
    """
    pool = CandidatePool(texts, params.n_negative, seed)
    directions = _unit_rows(decoder_rows) if params.negatives == "decoder" else decoder_rows
    sets = []
    for feature in features.tolist():
        none = np.zeros(0, dtype=np.int64)
        fires = firing(chunks, index, positions, feature, texts=texts, sharing=sharing.get(feature, none))
        key = seed_of(seed, "scoring", "positives", feature)
        positives = draw_positives(fires, params.n_activating, params.n_deciles, key)
        negatives = _negatives(
            feature, fires, positives, chunks, index, directions, pool, embed_chunks, params, seed
        )
        sets.append(ContextSet(feature, positives, negatives))
    return sets


def _negatives(
    feature: int,
    fires: Firing,
    positives: Positives,
    chunks: Chunks,
    index: FeatureIndex,
    directions: NDArray[np.float32],
    pool: CandidatePool,
    embed_chunks: EmbedChunks,
    params: ScoringParams,
    seed: int,
) -> NDArray[np.int64]:
    """Draw the negatives of one feature."""
    match params.negatives:
        case "random":
            key = seed_of(seed, "scoring", "negatives", feature)
            return draw(pool.silent(fires), params.n_negative, key)
        case "embedding":
            return nearest_by_embedding(pool.silent(fires), positives.chunk, embed_chunks, params.n_negative)
        case "decoder":
            return from_neighbours(feature, fires, chunks, index, directions, params.n_negative, seed)


def _unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit norm; rows of zeros stay."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)
