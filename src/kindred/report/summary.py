"""The experiment in a few rows: one per pair of SAEs, and one per SAE and method of explanation."""

import zlib

import numpy as np
import pandas as pd

from kindred.report.comparison import median_interval
from kindred.report.frames import pairs_frame, scores_frame
from kindred.report.study import GROUPS, METHODS, PairStudy, Study

RATIOS = (
    "shared_feature_ratio",
    "shared_feature_ratio_two_sided",
    "top1_ratio_left",
    "top1_ratio_right",
    "mean_max_cosine_left",
    "mean_max_cosine_right",
    "mean_similarity",
)
MEDIANS = ("similarity", "agreement", "swap_cost", "context_jaccard", "activation_correlation")
SIDED_MEDIANS = ("auroc", "null_permuted", "swap_score")


def summary_frame(study: Study) -> pd.DataFrame:
    """One row per pair of SAEs: shared feature ratios, medians by group, features that were not self-explainable.

    `n_distinct_explanations` counts different texts among a group's explanations: where it is low, agreement is
    high for no good reason.
    """
    pairs = pairs_frame(study)
    rows = [_summary_row(name, pair, pairs[pairs["pair"] == name]) for name, pair in study.pairs.items()]
    return pd.DataFrame(rows)


def _summary_row(name: str, pair: PairStudy, chosen: pd.DataFrame) -> dict[str, object]:
    row: dict[str, object] = {
        "pair": name,
        "sae_left": pair.saes[0],
        "sae_right": pair.saes[1],
        "n_features_left": pair.matching.n_left,
        "n_features_right": pair.matching.n_right,
        "n_matched": len(pair.matching.left),
    }
    row |= {ratio: pair.matching.ratios[ratio] for ratio in RATIOS if ratio in pair.matching.ratios}
    for group in GROUPS:
        part = chosen[chosen["group"] == group]
        row[f"n_pairs_{group}"] = len(part)
        row[f"n_passed_over_{group}"] = pair.matching.passed_over.get(group, 0)
        row |= {f"median_{quantity}_{group}": part[quantity].median() for quantity in MEDIANS}
        for quantity in SIDED_MEDIANS:
            both = pd.concat([part[f"{quantity}_left"], part[f"{quantity}_right"]])
            row[f"median_{quantity}_{group}"] = both.median()
        texts = pd.concat([part["explanation_left"], part["explanation_right"]])
        explainable = pd.concat([part["self_explainable_left"], part["self_explainable_right"]])
        row[f"n_explanations_{group}"] = len(texts)
        row[f"n_distinct_explanations_{group}"] = texts.nunique()
        row[f"n_not_self_explainable_{group}"] = int((~explainable.astype(bool)).sum())
    return row


def baselines_frame(study: Study) -> pd.DataFrame:
    """One row per SAE and method: the median AUROC of its first explanations with interval, beside its nulls."""
    generator = np.random.default_rng([study.settings.seed, zlib.crc32(b"kindred.report.baselines")])
    scores = scores_frame(study)
    scores = scores[scores["rank"] == 0]
    rows = []
    for sae in study.saes:
        for method in METHODS:
            part = scores[(scores["sae"] == sae) & (scores["method"] == method)]
            if part.empty:
                continue
            auroc = part["auroc"].to_numpy(dtype=np.float64)
            median, low, high = median_interval(
                auroc, confidence=study.settings.confidence, generator=generator
            )
            rows.append(
                {
                    "sae": sae,
                    "method": method,
                    "n_features": len(part),
                    "n_scored": int(np.isfinite(auroc).sum()),
                    "median_auroc": median,
                    "median_auroc_low": low,
                    "median_auroc_high": high,
                    "median_null_permuted": part["null_permuted"].median(),
                    "median_null_random": part["null_random"].median(),
                    "median_embedding_gap": part["embedding_gap"].median(),
                    "share_above_null_range": _share_above(part),
                }
            )
    return pd.DataFrame(rows)


def _share_above(part: pd.DataFrame) -> float:
    """Share of features whose AUROC lies above the upper end of its own permuted null's central range."""
    known = part[part["auroc"].notna() & part["null_permuted_high"].notna()]
    return float((known["auroc"] > known["null_permuted_high"]).mean()) if len(known) else float("nan")
