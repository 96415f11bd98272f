"""The data frames behind tables, figures and page: a row per pair, feature or score.

Source: docs/methods.md, sections 4 to 6.
"""

import numpy as np
import pandas as pd

from kindred.artefacts.features import TABLE_COLUMNS
from kindred.report.study import GROUPS, SaeStudy, Study

SIDES = ("left", "right")
_DECIMALS = 12  # beyond these a difference of scores is rounding noise
STATISTICS = TABLE_COLUMNS[1:]  # without the feature
SCORES = (
    "auroc",
    "auroc_low",
    "auroc_high",
    "null_permuted",
    "null_permuted_low",
    "null_permuted_high",
    "null_random",
    "embedding_gap",
)


def scores_frame(study: Study) -> pd.DataFrame:
    """One row per SAE, feature, method and rank, with the explanation scored and both nulls.

    A score whose nulls are both missing is withheld (nan) and marked in `withheld`: without its null it says nothing.
    """
    parts = []
    for name, sae in study.saes.items():
        texts = sae.scores.explanations[["feature", "method", "rank", "text"]]
        part = sae.scores.table.merge(texts, on=["feature", "method", "rank"], how="left", validate="1:1")
        part.insert(0, "sae", name)
        parts.append(part.rename(columns={"text": "explanation"}))
    frame = pd.concat(parts, ignore_index=True)
    without_null = frame["null_permuted"].isna() & frame["null_random"].isna()
    frame["withheld"] = without_null & frame["auroc"].notna()
    frame.loc[without_null, ["auroc", "auroc_low", "auroc_high", "embedding_gap"]] = np.nan
    columns = [
        "sae",
        "feature",
        "method",
        "rank",
        *SCORES,
        "n_positive",
        "n_negative",
        "withheld",
        "explanation",
    ]
    return frame[columns]


def pairs_frame(study: Study) -> pd.DataFrame:
    """One row per chosen pair of features, in the order of the parameters, then group, then rank.

    `swap_cost` is the mean AUROC of the two explanations on their own contexts minus that on each other's.
    """
    scores = scores_frame(study)
    own = scores[(scores["method"] == "self") & (scores["rank"] == 0)]
    own_of = own.set_index(["sae", "feature"]).to_dict("index")
    rows: list[dict[str, object]] = []
    for pair in study.pairs.values():
        for record in sorted(pair.records, key=lambda item: (GROUPS.index(item.group), item.rank)):
            row: dict[str, object] = {"pair": record.pair, "group": record.group, "rank": record.rank}
            for side, sae, feature in zip(SIDES, record.saes, record.indices, strict=True):
                row |= {f"sae_{side}": sae, f"feature_{side}": feature}
            row |= {"similarity": record.similarity, "agreement": _number(record.agreement)}
            for position, side in enumerate(SIDES):
                score = own_of[record.saes[position], record.indices[position]]
                row |= {f"{name}_{side}": score[name] for name in ("auroc", "auroc_low", "auroc_high")}
                row |= {f"{name}_{side}": score[name] for name in ("null_permuted", "null_random")}
                row[f"swap_score_{side}"] = _number(record.swap_scores[position])
            row |= {
                "context_jaccard": record.context_jaccard,
                "activation_correlation": _number(record.activation_correlation),
            }
            for position, side in enumerate(SIDES):
                row[f"self_explainable_{side}"] = record.self_explainable[position]
                row[f"explanation_{side}"] = record.self_explanations[position]
            rows.append(row)
    frame = pd.DataFrame(rows)
    owned = (frame["auroc_left"] + frame["auroc_right"]) / 2
    swapped = (frame["swap_score_left"] + frame["swap_score_right"]) / 2
    frame.insert(
        list(frame.columns).index("context_jaccard"), "swap_cost", (owned - swapped).round(_DECIMALS)
    )
    return frame


def features_frame(study: Study) -> pd.DataFrame:
    """One row per SAE and chosen feature: its statistics, the curve's summary, its explanation and score."""
    scores = scores_frame(study)
    chosen = _roles(study)
    parts = []
    for name, sae in study.saes.items():
        part = _curve_summary(sae).merge(sae.statistics, on="feature", how="left", validate="1:1")
        own = scores[(scores["sae"] == name) & (scores["method"] == "self") & (scores["rank"] == 0)]
        columns = [
            "feature",
            "auroc",
            "auroc_low",
            "auroc_high",
            "null_permuted",
            "null_random",
            "explanation",
        ]
        part = part.merge(own[columns], on="feature", how="left", validate="1:1")
        part.insert(0, "sae", name)
        part.insert(2, "chosen_as", [chosen.get((name, int(item)), "") for item in part["feature"]])
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    curve = ["max_self_similarity", "best_scale", "self_explainable"]
    last = ["auroc", "auroc_low", "auroc_high", "null_permuted", "null_random", "explanation"]
    return frame[["sae", "feature", "chosen_as", *STATISTICS, *curve, *last]]


def _curve_summary(sae: SaeStudy) -> pd.DataFrame:
    explanations = sae.explanations
    return pd.DataFrame(
        {
            "feature": np.asarray(explanations.features, dtype=np.int64),
            "max_self_similarity": np.asarray(explanations.self_similarity).max(axis=1),
            "best_scale": np.asarray(explanations.best_scale),
            "self_explainable": np.asarray(explanations.self_explainable),
        }
    ).sort_values("feature", ignore_index=True)


def _roles(study: Study) -> dict[tuple[str, int], str]:
    """Where each feature was chosen, as 'pair:group', joined by a space."""
    roles: dict[tuple[str, int], list[str]] = {}
    for pair in study.pairs.values():
        for record in pair.records:
            for sae, feature in zip(record.saes, record.indices, strict=True):
                roles.setdefault((sae, feature), []).append(f"{record.pair}:{record.group}")
    return {key: " ".join(dict.fromkeys(found)) for key, found in roles.items()}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
