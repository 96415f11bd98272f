"""Sparse activations drawn at random, of the size and form of a real store: few features fire often, most seldom.

Feature frequencies fall as in the law of Zipf and Mandelbrot, 1 / (rank + shift), so that the commonest feature of
16k fires on about a third of the tokens and the rarest on one in ten thousand; activations are exponential.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts import activations as artefact
from kindred.artefacts.activations import ActivationShard, SparseActivations, feature_dtype
from kindred.compiled import compiled
from kindred.corpus.packing import PackedContexts

SAE = "synthetic"
SHIFT = 10.0
MEAN_DOCUMENT = 300  # tokens


@dataclass(frozen=True)
class Store:
    """A corpus of random tokens and the shards of one SAE on it, memory-mapped.

    Attributes:
        contexts: The corpus; documents follow one another, and each context begins with BOS.
        shards: Activations in token order.
    """

    contexts: PackedContexts
    shards: list[ActivationShard]


def make_store(
    directory: Path, *, n_contexts: int, context_length: int, d_sae: int, k: int, n_shards: int = 4
) -> Store:
    """Draw a store and write it, one shard at a time."""
    generator = np.random.default_rng(0)
    contexts = _contexts(generator, n_contexts, context_length)
    weight = 1 / (np.arange(d_sae) + SHIFT)
    cumulative = np.cumsum(weight / weight.sum())
    name = generator.permutation(d_sae).astype(feature_dtype(d_sae))
    bounds = np.linspace(0, n_contexts, n_shards + 1).astype(np.int64)
    shards = []
    for number, (first, last) in enumerate(itertools.pairwise(bounds)):
        fires = ~contexts.is_special[first:last].reshape(-1)
        indptr = np.concatenate([[0], np.cumsum(fires * k)]).astype(np.int64)
        feature = np.empty(int(indptr[-1]), dtype=name.dtype)
        _draw(cumulative, name, k, np.uint64(number), feature)
        value = generator.standard_exponential(len(feature), dtype=np.float32)
        np.maximum(value, np.float32(1e-4), out=value)
        sparse = SparseActivations(indptr, feature, value)
        shard = ActivationShard(int(first), int(last - first), context_length, {SAE: d_sae}, {SAE: sparse})
        folder = directory / f"{number:03d}"
        folder.mkdir()
        artefact.save(shard, folder)
        shards.append(artefact.load(folder))
    return Store(contexts, shards)


def _contexts(generator: np.random.Generator, n_contexts: int, context_length: int) -> PackedContexts:
    shape = (n_contexts, context_length)
    tokens = generator.integers(0, 32_000, shape, dtype=np.int32)
    ends = generator.random(shape) < 1 / MEAN_DOCUMENT
    document = (np.cumsum(ends.reshape(-1)).reshape(shape) - ends).astype(np.int32)
    is_special = ends.copy()
    is_special[:, 0] = True
    document[is_special] = -1
    return PackedContexts(tokens, is_special, document)


@compiled
def _draw(
    cumulative: NDArray[np.float64],
    name: NDArray[np.unsignedinteger],
    k: int,
    seed: np.uint64,
    feature: NDArray[np.unsignedinteger],
) -> None:
    """Fill rows of k different features each, ascending, by their cumulative frequencies."""
    state = np.uint64(0x9E3779B97F4A7C15) * (seed + np.uint64(1))
    guide = np.searchsorted(cumulative, np.arange(65536) / 65536)
    for row in range(len(feature) // k):
        n_drawn = 0
        while n_drawn < k:
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            uniform = np.float64(state >> np.uint64(11)) / 9007199254740992.0
            rank = guide[int(uniform * 65536)]
            while rank < len(name) - 1 and cumulative[rank] < uniform:
                rank += 1
            drawn = name[rank]
            place = row * k + n_drawn
            while place > row * k and feature[place - 1] > drawn:
                feature[place] = feature[place - 1]
                place -= 1
            if place > row * k and feature[place - 1] == drawn:
                while place < row * k + n_drawn:
                    feature[place] = feature[place + 1]
                    place += 1
                continue
            feature[place] = drawn
            n_drawn += 1
