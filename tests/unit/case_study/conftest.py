"""Two SAEs over one small corpus, with all that a case study is made from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from kindred.artefacts.explanation import Explanations
from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.matching import Matching
from kindred.artefacts.scoring import Scores, Truncation
from kindred.artefacts.windows import ActExample, FeatureWindows, Windows
from kindred.case_study.records import SaeEvidence

FEATURES = [1, 4, 6]
D_SAE, N_CONTEXTS, CONTEXT_LENGTH = 8, 10, 6


def index_of(dense: np.ndarray, context_length: int, n_tokens: int) -> FeatureIndex:
    """Index of dense activations [flat token, feature]."""
    tokens = [np.flatnonzero(dense[:, f]).astype(np.uint32) for f in range(dense.shape[1])]
    return FeatureIndex(
        d_sae=dense.shape[1],
        n_contexts=len(dense) // context_length,
        context_length=context_length,
        n_tokens=n_tokens,
        offsets=np.concatenate([[0], np.cumsum([len(part) for part in tokens])]).astype(np.int64),
        token=np.concatenate(tokens),
        value=np.concatenate([dense[part, f] for f, part in enumerate(tokens)]).astype(np.float32),
    )


def make_windows(generator: np.random.Generator) -> FeatureWindows:
    def example() -> ActExample:
        return ActExample(tokens=[5, 6], texts=[" a", "\u4e2d"], acts=generator.random(2).round(3).tolist())

    return FeatureWindows(mean=[example(), example()], density=[example()], max=[])


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def make_scores(generator: np.random.Generator, name: str) -> Scores:
    """Scores of two methods; contexts of a feature lie around a direction of its own."""
    rows = [
        (f, method, rank) for f in FEATURES for method, rank in (("self", 0), ("self", 1), ("top_tokens", 0))
    ]
    explanations = pd.DataFrame(rows, columns=["feature", "method", "rank"])
    explanations["text"] = [f"{name} {method} {rank} of {f}" for f, method, rank in rows]
    table = explanations[["feature", "method", "rank"]].assign(auroc=generator.random(len(rows)))
    contexts = pd.DataFrame(
        [(f, kind) for f in FEATURES for kind, n in (("positive", 6), ("negative", 8)) for _ in range(n)],
        columns=["feature", "kind"],
    )
    centre = generator.normal(size=(D_SAE, 5))
    about = centre[contexts["feature"]] * (contexts["kind"] == "positive").to_numpy()[:, None]
    return Scores(
        table,
        contexts,
        unit(about + generator.normal(size=(len(contexts), 5))),
        explanations,
        unit(centre[explanations["feature"]] + 0.3 * generator.normal(size=(len(rows), 5))),
        Truncation(limit=None, contexts=0, windows=0, explanations=0, passages=0),
    )


def make_evidence(name: str, seed: int) -> SaeEvidence:
    generator = np.random.default_rng(seed)
    dense = generator.random((N_CONTEXTS * CONTEXT_LENGTH, D_SAE)) * (generator.random((60, D_SAE)) < 0.2)
    dense[::CONTEXT_LENGTH] = 0  # BOS
    curve = np.zeros((3, 2), np.float32)
    explanations = Explanations(
        features=np.array(FEATURES),
        scales=np.zeros(2, np.float32),
        self_similarity=curve,
        entropy=curve,
        composite=curve,
        best_scale=np.zeros(3, np.float32),
        self_explainable=np.array([True, False, True]),
        texts=pd.DataFrame(),
        settings={},
    )
    windows = Windows({f: make_windows(generator) for f in FEATURES}, pd.DataFrame())
    index = index_of(dense, CONTEXT_LENGTH, N_CONTEXTS * (CONTEXT_LENGTH - 1))
    return SaeEvidence(name, index, windows, explanations, make_scores(generator, name))


@dataclass(frozen=True)
class Sides:
    """A pair of SAEs and the pairs of features chosen from it."""

    matching: Matching
    left: SaeEvidence
    right: SaeEvidence


@pytest.fixture
def sides() -> Sides:
    chosen = pd.DataFrame(
        [
            ("control", 0, 1, 6, 0.02),
            ("worst", 0, 6, 1, 0.1),
            ("best", 1, 4, 4, 0.8),
            ("best", 0, 1, 1, 0.9),
        ],
        columns=["group", "rank", "left", "right", "similarity"],
    )
    every = np.arange(D_SAE)
    matching = Matching(every, every, np.ones(D_SAE, np.float32), {}, chosen, {}, (), D_SAE, D_SAE, {})
    return Sides(matching, make_evidence("docs-0", 0), make_evidence("docs-1", 1))


@pytest.fixture
def make_index() -> Callable[[np.ndarray, int, int], FeatureIndex]:
    return index_of
