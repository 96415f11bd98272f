"""A small but whole study, drawn from a seed: two pairs of three SAEs, with texts chosen to be awkward."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from kindred.artefacts.case_study import MatchedFeature
from kindred.artefacts.explanation import Explanations
from kindred.artefacts.matching import Matching
from kindred.artefacts.scoring import Scores, Truncation
from kindred.artefacts.windows import ActExample, FeatureWindows
from kindred.report.study import GROUPS, METHODS, PairStudy, SaeStudy, Settings, Study

PAIRS = {"seeds": ("docs-0", "docs-1"), "data": ("docs-0", "faithful-0")}
N_SCALES = 16
AWKWARD = (
    "100% of $x_1 & {y}\\n | `code` <b>bold</b> #1 ~ ^",
    'the "first" line\nand\tthe second\x07',
    "na\u00efve \u4e2d\u6587 \U0001f600 \u200b\u202e text",
    "a function that returns the number of elements",
    "the axis along which the array is split, or None",
)
WORDS = (
    "the",
    "number",
    "of",
    "rows",
    "in",
    "an",
    "array",
    "is",
    "given",
    "by",
    "its",
    "shape",
    ",",
    "so",
    "\n",
)


def window(generator: np.random.Generator, length: int) -> ActExample:
    """A passage with a cluster of active tokens."""
    texts = [" " + WORDS[item] for item in generator.integers(0, len(WORDS), length)]
    acts = np.where(generator.random(length) < 0.2, generator.gamma(2.0, 1.5, length), 0.0)
    acts[length // 2] = 6.0
    if length > 6:
        texts[3:6] = ["<script>", "\n\n", "  "]
        acts[4:6] = 1.5
    return ActExample(
        tokens=[int(item) for item in generator.integers(0, 8192, length)],
        texts=texts,
        acts=[round(float(item), 4) for item in acts],
    )


def windows(generator: np.random.Generator, n_top: int, length: int) -> FeatureWindows:
    """Windows of one feature."""
    made = {name: [window(generator, length) for _ in range(n_top)] for name in ("mean", "density", "max")}
    return FeatureWindows(**made)


def explanations(features: list[int], generator: np.random.Generator) -> Explanations:
    """Curves of the shape of real ones: similarity rises and falls, entropy rises."""
    scales = np.linspace(0, 8, N_SCALES, dtype=np.float32)
    n = len(features)
    peak = generator.uniform(0.05, 0.5, (n, 1))
    middle = generator.uniform(2, 5, (n, 1))
    similarity = peak * np.exp(-((scales - middle) ** 2) / 4) + generator.normal(0, 0.005, (n, N_SCALES))
    entropy = 4 + 0.4 * scales + generator.normal(0, 0.2, (n, N_SCALES))
    composite = 0.4 * similarity / peak - 0.6 * (entropy - 4) / 4
    best = scales[1:][composite[:, 1:].argmax(axis=1)]
    return Explanations(
        features=np.array(features, dtype=np.int64),
        scales=scales,
        self_similarity=similarity.astype(np.float32),
        entropy=entropy.astype(np.float32),
        composite=composite.astype(np.float32),
        best_scale=best.astype(np.float32),
        self_explainable=similarity.max(axis=1) >= 0.1,
        texts=pd.DataFrame(),
        settings={},
    )


def scores(features: list[int], generator: np.random.Generator, advantage: float) -> Scores:
    """Scores around the null, the self-explanation's raised by `advantage`."""
    rows, texts = [], []
    centres = {
        "self": 0.5 + advantage,
        "unsteered": 0.5,
        "continuation": 0.53,
        "logit_lens": 0.56,
        "top_tokens": 0.7,
    }
    for feature in features:
        for method in METHODS:
            for rank in range(3 if method == "self" else 1):
                auroc = float(np.clip(generator.normal(centres[method], 0.05), 0, 1))
                null = float(generator.normal(0.5, 0.01))
                rows.append(
                    {
                        "feature": feature,
                        "method": method,
                        "rank": rank,
                        "auroc": auroc,
                        "auroc_low": auroc - 0.08,
                        "auroc_high": auroc + 0.08,
                        "embedding_gap": float(generator.normal(0.02, 0.01)),
                        "null_permuted": null,
                        "null_permuted_low": null - 0.06,
                        "null_permuted_high": null + 0.06,
                        "null_random": float(generator.normal(0.5, 0.02)),
                        "n_positive": 100,
                        "n_negative": 100,
                    }
                )
                text = AWKWARD[int(generator.integers(0, len(AWKWARD)))]
                texts.append(
                    {"feature": feature, "method": method, "rank": rank, "text": f"{text} ({feature})"}
                )
    empty = np.zeros((0, 4), dtype=np.float32)
    return Scores(
        table=pd.DataFrame(rows),
        contexts=pd.DataFrame(),
        context_embeddings=empty,
        explanations=pd.DataFrame(texts),
        explanation_embeddings=empty,
        truncation=Truncation(limit=256, contexts=0, windows=0, explanations=0, passages=0),
    )


def statistics(d_sae: int, generator: np.random.Generator) -> pd.DataFrame:
    """One row per feature of a dictionary."""
    rate = generator.uniform(1e-4, 1e-2, d_sae)
    return pd.DataFrame(
        {
            "feature": np.arange(d_sae),
            "n_tokens_active": (rate * 1e6).astype(np.int64),
            "firing_rate": rate,
            "n_contexts_active": (rate * 1e5).astype(np.int64),
            "context_rate": rate * 20,
            "max": generator.uniform(4, 9, d_sae),
            "mean_nonzero": generator.uniform(1, 3, d_sae),
            "single_token_share": generator.random(d_sae),
            "top_token_entropy_nats": generator.uniform(0, 4, d_sae),
        }
    )


def build_study(
    *,
    n_each: int = 4,
    d_sae: int = 64,
    n_top: int = 2,
    length: int = 12,
    advantage: float = 0.05,
    gap: float = 0.3,
    seed: int = 0,
) -> Study:
    """A study in which best pairs agree by `gap` more than the others and scores exceed the null by `advantage`."""
    generator = np.random.default_rng(seed)
    chosen = {
        (name, side): [int(item) for item in generator.permutation(d_sae)[: 3 * n_each]]
        for name in PAIRS
        for side in (0, 1)
    }
    names = list(dict.fromkeys(sae for pair in PAIRS.values() for sae in pair))
    saes = {}
    for name in names:
        features = sorted(
            {
                f
                for pair, both in PAIRS.items()
                for side in (0, 1)
                if both[side] == name
                for f in chosen[pair, side]
            }
        )
        saes[name] = SaeStudy(
            statistics(d_sae, generator),
            explanations(features, generator),
            scores(features, generator, advantage),
        )
    pairs = {
        name: _pair(name, both, chosen, saes, generator, n_each, d_sae, n_top, length, gap)
        for name, both in PAIRS.items()
    }
    return Study(SETTINGS, pairs, saes)


SETTINGS = Settings(
    seed=0,
    model="models/docs-lm",
    similarity="decoder",
    threshold=0.7,
    metric="entropy",
    norm="relative",
    failure_threshold=0.1,
    embedder="all-MiniLM-L6-v2",
    negatives="random",
    n_permutations=20,
    confidence=0.95,
)


def _pair(name, both, chosen, saes, generator, n_each, d_sae, n_top, length, gap) -> PairStudy:
    matched = np.clip(generator.beta(2, 2.5, d_sae), 0, 0.99).astype(np.float32)
    similarity = {
        "best": np.sort(matched)[::-1],
        "worst": np.sort(matched),
        "control": generator.uniform(-0.1, 0.2, d_sae),
    }
    records = []
    for place, group in enumerate(GROUPS):
        for rank in range(n_each):
            indices = [chosen[name, side][place * n_each + rank] for side in (0, 1)]
            own = [_own(saes[sae], feature) for sae, feature in zip(both, indices, strict=True)]
            explainable = [
                bool(
                    saes[sae].explanations.self_explainable[
                        list(saes[sae].explanations.features).index(feature)
                    ]
                )
                for sae, feature in zip(both, indices, strict=True)
            ]
            records.append(
                MatchedFeature(
                    pair=name,
                    saes=both,
                    group=group,
                    rank=rank,
                    similarity=float(similarity[group][rank]),
                    eleuthers=(own[0][0], own[1][0]),
                    self_explanations=(own[0][1], own[1][1]),
                    indices=(indices[0], indices[1]),
                    agreement=float(generator.normal(0.3 + (gap if group == "best" else 0), 0.08)),
                    swap_scores=(
                        own[0][0] - 0.01,
                        None if group == "control" and rank == 0 else own[1][0] - 0.02,
                    ),
                    context_jaccard=float(generator.uniform(0.3, 0.8) if group == "best" else 0.02),
                    activation_correlation=None if rank == 1 else float(generator.uniform(0, 1)),
                    self_explainable=(explainable[0], explainable[1]),
                    windows=(windows(generator, n_top, length), windows(generator, n_top, length)),
                )
            )
    matching = Matching(
        left=np.arange(d_sae),
        right=generator.permutation(d_sae),
        similarity=matched,
        ratios={
            "shared_feature_ratio": float((matched > 0.7).mean()),
            "shared_feature_ratio_two_sided": 0.1,
            "top1_ratio_left": 0.2,
            "top1_ratio_right": 0.21,
            "mean_max_cosine_left": 0.5,
            "mean_max_cosine_right": 0.51,
            "mean_similarity": float(matched.mean()),
        },
        chosen=pd.DataFrame(),
        passed_over={"best": 3, "worst": 0, "control": 12},
        notes=("best: 4 pairs; 3 passed over because a feature fires in fewer than 100 contexts",),
        n_left=d_sae,
        n_right=d_sae,
        proofs={},
    )
    return PairStudy(both, matching, tuple(records))


def _own(sae: SaeStudy, feature: int) -> tuple[float, str]:
    table, texts = sae.scores.table, sae.scores.explanations
    here = (table["feature"] == feature) & (table["method"] == "self") & (table["rank"] == 0)
    return float(table.loc[here, "auroc"].iloc[0]), str(texts.loc[here, "text"].iloc[0])


@pytest.fixture(scope="session")
def study() -> Study:
    """The study that most tests look at."""
    return build_study()


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """For tests that need a study with other numbers."""
    return build_study
