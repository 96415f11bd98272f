"""A small corpus whose features each fire on one token, and an embedder that sees which words a text holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.scoring import Scores
from kindred.artefacts.windows import Windows
from kindred.corpus.packing import PackedContexts
from kindred.params import ScoringParams
from kindred.scoring.scores import score
from kindred.windows.top import top_windows

D_SAE = 40
N_CONTEXTS, CONTEXT_LENGTH = 120, 33
SILENT = D_SAE - 1  # a feature that fires nowhere


def decode(tokens: Sequence[int], start: int, stop: int) -> list[str]:
    return [f" w{token}" for token in tokens[start:stop]]


def count_tokens(text: str) -> int:
    return len(text.split())


def bag_of_words(texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Unit vectors; a text's is the sum of those of its words, each word having an axis of its own."""
    vectors = np.full((len(texts), 64), 0.01)
    for row, text in enumerate(texts):
        for word in text.replace(",", " ").split():
            vectors[row, int(word.removeprefix("w")) % 64] += 1
        if progress is not None:
            progress(row + 1, len(texts))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@dataclass
class Recorder:
    """An embedder by bags of words that remembers the texts it saw; a word is a token of it."""

    seen: list[str]
    limit: int | None

    def __call__(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        self.seen.extend(texts)
        return bag_of_words(list(texts), progress)

    def n_cut(self, texts: Sequence[str]) -> int:
        return 0 if self.limit is None else sum(count_tokens(text) > self.limit for text in texts)


@dataclass
class Bench:
    """Inputs of `score` that belong together."""

    contexts: PackedContexts
    index: FeatureIndex
    decoder_rows: np.ndarray
    params: ScoringParams
    texts: pd.DataFrame
    features: list[int]
    seen: list[str] = field(default_factory=list)
    limit: int | None = None

    def windows(self, features: Sequence[int]) -> Windows:
        return top_windows(
            self.index, features, self.contexts, length=6, min_length=1, n_top=3, decode=decode
        )

    @property
    def embedder(self) -> Recorder:
        return Recorder(self.seen, self.limit)

    def score(self, features: Sequence[int] | None = None, *, seed: int = 0, **changes: object) -> Scores:
        features = self.features if features is None else features
        return score(
            features,
            self.texts,
            self.index,
            self.contexts,
            self.windows(features),
            decode=decode,
            count_tokens=count_tokens,
            embedder=self.embedder,
            decoder_rows=self.decoder_rows,
            params=self.params.model_copy(update=changes),
            seed=seed,
        )


def index_of(dense: np.ndarray, n_tokens: int) -> FeatureIndex:
    """Index of dense activations [context, position, feature]."""
    n_contexts, context_length, d_sae = dense.shape
    flat = dense.reshape(-1, d_sae)
    tokens = [np.flatnonzero(flat[:, f]).astype(np.uint32) for f in range(d_sae)]
    return FeatureIndex(
        d_sae,
        n_contexts,
        context_length,
        n_tokens,
        np.concatenate([[0], np.cumsum([len(part) for part in tokens])]).astype(np.int64),
        np.concatenate(tokens),
        np.concatenate([flat[part, f] for f, part in enumerate(tokens)]).astype(np.float32),
    )


def make_contexts(generator: np.random.Generator) -> PackedContexts:
    """Contexts with BOS, some of two documents, some with padding."""
    shape = (N_CONTEXTS, CONTEXT_LENGTH)
    tokens = generator.integers(3, 3 + D_SAE - 1, shape).astype(np.int32)
    special = np.zeros(shape, dtype=bool)
    special[:, 0] = True
    document = np.repeat(np.arange(0, 2 * N_CONTEXTS, 2)[:, None], CONTEXT_LENGTH, axis=1).astype(np.int32)
    document[::3, 14:] += 1
    special[1::3, 20:] = True
    document[special] = -1
    tokens[special] = 2
    tokens[:, 0] = 0
    return PackedContexts(tokens, special, document)


@pytest.fixture
def bench() -> Bench:
    generator = np.random.default_rng(0)
    contexts = make_contexts(generator)
    strength = generator.gamma(2.0, 1.0, contexts.tokens.shape)
    fires = (contexts.tokens[:, :, None] == np.arange(3, 3 + D_SAE)) & ~contexts.is_special[:, :, None]
    features = [2, 5, 11, 17, 23]
    texts = [(f, "self", 0, f"w{f + 3} w{f + 3}") for f in features]
    texts += [(f, "unsteered", 0, "w1 w2") for f in features]
    params = ScoringParams(
        embedder="all-MiniLM-L6-v2",
        query_template="{explanation}",
        context_length=8,
        n_activating=20,
        n_negative=20,
        n_deciles=5,
        negatives="random",
        n_permutations=10,
        confidence=0.95,
        batch_size=8,
    )
    return Bench(
        contexts,
        index_of(fires * strength[:, :, None], int((~contexts.is_special).sum())),
        generator.normal(size=(D_SAE, 16)).astype(np.float32),
        params,
        pd.DataFrame(texts, columns=["feature", "method", "rank", "text"]),
        features,
    )


@pytest.fixture
def with_silent(bench: Bench) -> Bench:
    """The same, with a feature that fires nowhere among the scored ones."""
    more = pd.DataFrame([(SILENT, "self", 0, "w7")], columns=bench.texts.columns)
    return replace(
        bench, texts=pd.concat([bench.texts, more], ignore_index=True), features=[*bench.features, SILENT]
    )
