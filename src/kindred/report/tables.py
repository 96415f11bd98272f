"""The tables of the case study with captions and notes, and the JSON of matched features.

Source: docs/methods.md, section 6.
"""

import json
import math
from collections.abc import Mapping

from kindred.artefacts.case_study import RECORDS, MatchedFeature
from kindred.artefacts.scoring import truncation_note
from kindred.case_study.schema import check_matched_features, matched_features_schema
from kindred.characters import mend_surrogates
from kindred.report.frames import features_frame, pairs_frame, scores_frame
from kindred.report.metrics import metrics_json, metrics_of
from kindred.report.questions import ask, comparisons_frame
from kindred.report.rendering import Format, Table, render
from kindred.report.study import GROUPS, Study
from kindred.report.summary import MEDIANS, SIDED_MEDIANS, baselines_frame, summary_frame

FORMATS: tuple[Format, ...] = ("csv", "tex", "md")
_JSON_DIGITS = 7  # of a float32; more would print its rounding

_RATIOS = {
    "shared_feature_ratio": "Shared feature ratio",
    "shared_feature_ratio_two_sided": "Shared feature ratio, two-sided",
    "top1_ratio_left": "Top-1 ratio of a",
    "top1_ratio_right": "Top-1 ratio of b",
    "mean_max_cosine_left": "Mean maximal cosine of a",
    "mean_max_cosine_right": "Mean maximal cosine of b",
    "mean_similarity": "Mean cosine of matched pairs",
}
_QUANTITIES = {
    "similarity": "cosine",
    "agreement": "agreement",
    "swap_cost": "swap cost",
    "context_jaccard": "context overlap",
    "activation_correlation": "activation correlation",
    "auroc": "AUROC",
    "null_permuted": "permuted null",
    "swap_score": "swap score",
}
_PAIRS = {
    "pair": "Pair",
    "group": "Group",
    "rank": "Rank",
    "feature_left": "a",
    "feature_right": "b",
    "similarity": "Cosine",
    "agreement": "Agreement",
    "auroc_left": "AUROC a",
    "auroc_right": "AUROC b",
    "null_permuted_left": "Null a",
    "null_permuted_right": "Null b",
    "swap_cost": "Swap cost",
    "context_jaccard": "Jaccard",
    "explanation_left": "Explanation of a",
    "explanation_right": "Explanation of b",
}
_FEATURES = {
    "sae": "SAE",
    "feature": "Feature",
    "firing_rate": "Firing rate",
    "n_contexts_active": "Contexts",
    "single_token_share": "Single token",
    "max_self_similarity": "Self-similarity",
    "best_scale": "Scale",
    "self_explainable": "Explainable",
    "auroc": "AUROC",
    "null_permuted": "Null",
    "explanation": "Explanation",
}
_SCORES = {
    "sae": "SAE",
    "feature": "Feature",
    "method": "Method",
    "rank": "Rank",
    "auroc": "AUROC",
    "auroc_low": "Low",
    "auroc_high": "High",
    "null_permuted": "Null, permuted",
    "null_random": "Null, random",
    "embedding_gap": "Gap",
    "n_positive": "Positives",
    "n_negative": "Negatives",
}
_BASELINES = {
    "sae": "SAE",
    "method": "Method",
    "n_scored": "Features",
    "median_auroc": "Median AUROC",
    "median_auroc_low": "Low",
    "median_auroc_high": "High",
    "median_null_permuted": "Null, permuted",
    "median_null_random": "Null, random",
    "share_above_null_range": "Share above null",
}
_COMPARISONS = {
    "scope": "Pairs",
    "quantity": "Quantity",
    "first": "First",
    "second": "Second",
    "n_first": "n",
    "n_second": "n",
    "median_first": "Median",
    "median_second": "Median",
    "difference": "Difference",
    "low": "Low",
    "high": "High",
    "p_value": "p",
    "outcome": "Outcome",
}


def build_tables(study: Study) -> dict[str, Table]:
    """All tables by name: summary, pairs, features, scores, baselines and comparisons."""
    tables = [
        _summary(study),
        _pairs(study),
        _features(study),
        _scores(study),
        _baselines(study),
        _comparisons(study),
    ]
    return {table.name: table for table in tables}


def render_tables(study: Study, digits: int) -> dict[str, str]:
    """The content of every file of results/tables, by file name; the JSON is checked against its own schema.

    Raises:
        KindredError: The records do not fit the published schema; the message names the place.
    """
    tables = build_tables(study)
    files = {
        f"{table.name}.{form}": render(table, form, digits) for table in tables.values() for form in FORMATS
    }
    metrics = metrics_of(tables["summary"].frame, tables["comparisons"].frame, digits)
    files["metrics.json"] = metrics_json(metrics)
    records = [record for pair in study.pairs.values() for record in pair.records]
    files["matched_features.json"] = matched_features_json(records)
    check_matched_features(json.loads(files["matched_features.json"]))
    files["matched_features.schema.json"] = matched_features_schema_json()
    return files


def matched_features_json(records: list[MatchedFeature]) -> str:
    """The records as one JSON list; lists of numbers or texts on one line each, floats as float32 prints them."""
    return _json(RECORDS.dump_python(records, mode="json"), 0) + "\n"


def matched_features_schema_json() -> str:
    """The schema of matched_features.json, as the text that is published beside it."""
    return json.dumps(matched_features_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def null_notes(study: Study) -> tuple[str, ...]:
    """What the nulls are, how many scores had none and were withheld, and how many texts were not read whole."""
    settings, scores = study.settings, scores_frame(study)
    notes = [
        f"Permuted null: mean over {settings.n_permutations} permutations of the explanations among the features "
        "of the SAE and method; random null: one unrelated explanation. Both on the feature's own contexts.",
        f"Negatives: {settings.negatives}. Embedder: {settings.embedder}. Intervals: {settings.confidence:.0%}.",
    ]
    withheld, unscored = int(scores["withheld"].sum()), int(scores["auroc"].isna().sum())
    if withheld:
        notes.append(f"{withheld} scores without a null were withheld.")
    if unscored - withheld:
        notes.append(f"{unscored - withheld} of {len(scores)} explanations could not be scored.")
    truncation = truncation_note([sae.scores for sae in study.saes.values()])
    return tuple(notes) if truncation is None else (*notes, truncation)


def passed_over_notes(study: Study) -> tuple[str, ...]:
    """What the matching says about its choice: how many pairs of each group the rule on contexts passed over."""
    return tuple(f"{name}, {note}." for name, pair in study.pairs.items() for note in pair.matching.notes)


def _summary(study: Study) -> Table:
    frame = summary_frame(study)
    headings = {"pair": "Pair", "sae_left": "SAE a", "sae_right": "SAE b", "n_matched": "Matched pairs"}
    headings |= {name: heading for name, heading in _RATIOS.items() if name in frame}
    for group in GROUPS:
        headings[f"n_pairs_{group}"] = f"{group.capitalize()}: pairs"
        for quantity in (*MEDIANS, *SIDED_MEDIANS):
            headings[f"median_{quantity}_{group}"] = f"{group.capitalize()}: median {_QUANTITIES[quantity]}"
        headings[f"n_distinct_explanations_{group}"] = f"{group.capitalize()}: distinct explanations"
        headings[f"n_not_self_explainable_{group}"] = f"{group.capitalize()}: features not self-explainable"
    notes = (
        f"Shared: cosine ({study.settings.similarity}) above {study.settings.threshold:g}.",
        f"Not self-explainable: largest self-similarity below {study.settings.failure_threshold:g}.",
        *passed_over_notes(study),
    )
    caption = "Pairs of SAEs: shared features, and medians over the chosen pairs by group"
    return Table("summary", frame, caption, headings, transpose=True, notes=notes)


def _pairs(study: Study) -> Table:
    notes = (
        *passed_over_notes(study),
        "Agreement: cosine of the embeddings of the two explanations. Swap cost: mean AUROC of the explanations "
        "on their own contexts minus that on each other's. Jaccard: overlap of the contexts in which each fires.",
        *null_notes(study),
    )
    wide = frozenset({"explanation_left", "explanation_right"})
    return Table("pairs", pairs_frame(study), "Chosen pairs of matched features", _PAIRS, wide, notes=notes)


def _features(study: Study) -> Table:
    notes = (
        "Single token: share of the top activations that are one token; a feature of one token cannot be explained "
        "by steering.",
        f"Explainable: largest self-similarity at least {study.settings.failure_threshold:g}. "
        f"Scale: in units of norm ({study.settings.norm}).",
        *null_notes(study),
    )
    caption = "Features of the chosen pairs"
    return Table(
        "features", features_frame(study), caption, _FEATURES, frozenset({"explanation"}), notes=notes
    )


def _scores(study: Study) -> Table:
    frame = scores_frame(study)
    notes = null_notes(study)
    caption = "Embedding scores of every explanation, with their nulls"
    return Table("scores", frame, caption, _SCORES, notes=notes)


def _baselines(study: Study) -> Table:
    notes = (
        "First explanation of each method. Share above null: features whose AUROC exceeds the central range of "
        "their permuted null. Top tokens are read from the feature's activations on other contexts: a leaky upper "
        "reference, not a rival.",
        *null_notes(study),
    )
    caption = "Self-explanation beside its baselines"
    return Table("baselines", baselines_frame(study), caption, _BASELINES, notes=notes)


def _comparisons(study: Study) -> Table:
    notes = (
        "Groups: difference of medians with a bootstrap interval; p of the rank sum, labels permuted within each pair "
        "of SAEs. Methods: median of the differences feature by feature; p of the signed ranks, signs flipped.",
        f"Outcome: decided only where the {study.settings.confidence:.0%} interval leaves out zero and p is below "
        f"{1 - study.settings.confidence:.2g}; p is two-sided and not adjusted for the number of comparisons.",
    )
    frame = comparisons_frame(ask(study))
    return Table("comparisons", frame, "Comparisons of groups and methods", _COMPARISONS, notes=notes)


def _json(value: object, depth: int) -> str:
    if isinstance(value, float):
        return f"{value:.{_JSON_DIGITS}g}" if math.isfinite(value) else "null"
    if isinstance(value, Mapping):
        items = [f"{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()]
        return _lines("{", items, "}", depth)
    if isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
        return _lines("[", [_json(item, depth + 1) for item in value], "]", depth)
    if isinstance(value, list):
        return "[" + ", ".join(_json(item, depth) for item in value) + "]"
    return mend_surrogates(json.dumps(value, ensure_ascii=False))


def _lines(opening: str, items: list[str], closing: str, depth: int) -> str:
    if not items:
        return opening + closing
    indent = "\n" + " " * (depth + 1)
    return opening + indent + f",{indent}".join(items) + "\n" + " " * depth + closing
