"""The contexts an explanation is tested on: some in which its feature fires, some in which it is silent.

Source: METHODS, embedding score; Paulo et al. 2024 (2410.13928), appendix A.4.4. Unlike there, no test context shares
a token with an example of the feature or repeats its text, and no text is tested on twice.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.scoring.chunks import Chunks, chunk_activations
from kindred.seeding import draw


@dataclass(frozen=True, eq=False)
class Firing:
    """Where one feature fires, in chunks.

    Attributes:
        active: Chunks in which it fires, ascending, int64.
        value: Its largest activation in each of them, float32.
        examples: Chunks that share a token with one of its top windows, or a passage of its text, ascending, int64:
            never tested on, nor are their copies.
        texts: For each chunk of the corpus, the first chunk that has the same tokens, int64 [chunk].
    """

    active: NDArray[np.int64]
    value: NDArray[np.float32]
    examples: NDArray[np.int64]
    texts: NDArray[np.int64]

    @cached_property
    def _known(self) -> NDArray[np.int64]:
        """Texts that are no negatives, ascending."""
        return np.unique(self.texts[np.concatenate([self.active, self.examples])])

    def is_silent(self, chunks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of some chunks may be negatives: no copy of them is an example, and in none the feature fires."""
        return ~np.isin(self.texts[chunks], self._known)

    @property
    def tested(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the chunks that may be positives, each text once, ascending, and the largest activation in each."""
        text = self.texts[self.active]
        _, first = np.unique(text, return_index=True)
        kept = np.sort(first)
        kept = kept[~np.isin(text[kept], self.texts[self.examples])]
        return self.active[kept], self.value[kept]


@dataclass(frozen=True, eq=False)
class Positives:
    """Test contexts in which a feature fires.

    Attributes:
        chunk: The chunks, by decile, ascending within one, int64.
        decile: Part of the feature's activations that each was drawn from, 0 the weakest, int64.
    """

    chunk: NDArray[np.int64]
    decile: NDArray[np.int64]


def firing(
    chunks: Chunks,
    index: FeatureIndex,
    positions: pd.DataFrame,
    feature: int,
    *,
    texts: NDArray[np.int64],
    sharing: NDArray[np.int64],
) -> Firing:
    """Gather where a feature fires and where its examples lie.

    Args:
        chunks: The chunks of the corpus.
        index: Activations of the SAE.
        positions: Of the top windows of all features, as in the artefact `windows`.
        feature: The feature.
        texts: For each chunk, the first one that has the same tokens.
        sharing: Chunks that have a passage in common with one of the feature's top windows.
    """
    active, value = chunk_activations(chunks, *index.of(feature))
    own = positions[positions["feature"] == feature]
    start = own["context"].to_numpy() * index.context_length + own["start"].to_numpy()
    examples = np.union1d(overlapping(chunks, start, own["length"].to_numpy()), sharing)
    return Firing(active, value, examples, texts)


def overlapping(chunks: Chunks, start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the chunks that share a token with any of some stretches of flat token indices, ascending."""
    tokens = [np.arange(first, first + n) for first, n in zip(start, length, strict=True)]
    found = np.unique(chunks.of_tokens(np.concatenate([np.zeros(0, dtype=np.int64), *tokens])))
    return found[found >= 0]


def draw_positives(fires: Firing, n_activating: int, n_deciles: int, key: int) -> Positives:
    """Draw equally many chunks from each of ``n_deciles`` equal parts of a feature's activations.

    The parts are of the chunks that may be tested on, each text once, ordered by activation (equal ones by place), so
    that the top windows taken out do not leave the highest part empty. A part that holds too few gives what it has: the
    others do not make up for it, since that would shift the mix of strong and weak. Where ``n_deciles`` does
    not divide ``n_activating``, the weakest parts give one more.

    A chunk more or less moves at most one chunk over each edge between parts, and two that change their order
    within a part change nothing.

    Args:
        fires: Where the feature fires.
        n_activating: How many chunks are wanted.
        n_deciles: Number of parts.
        key: Of the draw; the same for all parts, so that a chunk keeps its priority where it changes part.
    """
    chunk, value = fires.tested
    parts = np.array_split(chunk[np.lexsort((chunk, value))], n_deciles)
    drawn = [
        draw(part, n_activating // n_deciles + int(more), key)
        for part, more in zip(parts, np.arange(n_deciles) < n_activating % n_deciles, strict=True)
    ]
    decile = np.repeat(np.arange(n_deciles), [len(part) for part in drawn])
    return Positives(np.concatenate(drawn).astype(np.int64), decile.astype(np.int64))
