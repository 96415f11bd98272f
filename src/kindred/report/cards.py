"""What the page shows of each chosen pair: numbers, explanations of every method, curves and shaded windows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from kindred.artefacts.case_study import MatchedFeature
from kindred.report.frames import pairs_frame, scores_frame
from kindred.report.markup import curve_plot, score_plot, windows_markup
from kindred.report.passages import visible
from kindred.report.study import METHOD_NAMES, METHODS, Study

SINGLE_TOKEN = 0.95  # share of the top activations from which the page calls a feature one of a single token


@dataclass(frozen=True)
class Line:
    """One explanation of one feature by one method, and its score."""

    method: str
    name: str
    text: str
    score: float
    low: float
    high: float
    null: float
    plot: Markup


@dataclass(frozen=True)
class FeatureSide:
    """One of the two features of a card."""

    sae: str
    feature: int
    explanation: str
    others: tuple[str, ...]
    self_explainable: bool
    single_token_share: float
    single_token: bool
    firing_rate: float
    swap_score: float
    best_scale: float
    lines: tuple[Line, ...]
    curve: Markup
    entropy_curve: Markup
    windows: Mapping[str, list[Markup]]


@dataclass(frozen=True)
class Card:
    """One chosen pair; `name` is its anchor in the page."""

    name: str
    pair: str
    group: str
    number: int
    similarity: float
    agreement: float
    context_jaccard: float
    activation_correlation: float
    swap_cost: float
    sides: tuple[FeatureSide, FeatureSide]


def build_cards(study: Study, n_windows: int) -> list[Card]:
    """A card for each chosen pair, in the order of the pairs' table."""
    scores = scores_frame(study).set_index(["sae", "feature"]).sort_index(kind="stable")
    statistics = {name: sae.statistics.set_index("feature") for name, sae in study.saes.items()}
    records = {
        (name, record.group, record.rank): record
        for name, pair in study.pairs.items()
        for record in pair.records
    }
    cards = []
    for row in pairs_frame(study).to_dict("records"):
        record = records[row["pair"], row["group"], row["rank"]]
        sides = [
            _side(study, record, position, float(row[f"swap_score_{label}"]), scores, statistics, n_windows)
            for position, label in enumerate(("left", "right"))
        ]
        cards.append(
            Card(
                name=f"{record.pair}-{record.group}-{record.rank + 1}",
                pair=record.pair,
                group=record.group,
                number=record.rank + 1,
                similarity=record.similarity,
                agreement=float(row["agreement"]),
                context_jaccard=record.context_jaccard,
                activation_correlation=float(row["activation_correlation"]),
                swap_cost=float(row["swap_cost"]),
                sides=(sides[0], sides[1]),
            )
        )
    return cards


def _side(
    study: Study,
    record: MatchedFeature,
    position: int,
    swap_score: float,
    scores: pd.DataFrame,
    statistics: Mapping[str, pd.DataFrame],
    n_windows: int,
) -> FeatureSide:
    sae, feature = record.saes[position], record.indices[position]
    rows = scores.loc[[(sae, feature)]]
    explanations = study.saes[sae].explanations
    row = int(np.flatnonzero(np.asarray(explanations.features) == feature)[0])
    best = float(explanations.best_scale[row])
    own = rows[(rows["method"] == "self") & (rows["rank"] > 0)].sort_values("rank")
    statistic = statistics[sae].loc[[feature]].to_dict("records")[0]
    return FeatureSide(
        sae=sae,
        feature=feature,
        explanation=visible(record.self_explanations[position]),
        others=tuple(visible(str(text)) for text in own["explanation"]),
        self_explainable=record.self_explainable[position],
        single_token_share=float(statistic["single_token_share"]),
        single_token=float(statistic["single_token_share"]) >= SINGLE_TOKEN,
        firing_rate=float(statistic["firing_rate"]),
        swap_score=swap_score,
        best_scale=best,
        lines=_lines(rows),
        curve=curve_plot(explanations.scales, explanations.self_similarity[row], best, "self-similarity"),
        entropy_curve=curve_plot(explanations.scales, explanations.entropy[row], best, study.settings.metric),
        windows=windows_markup(record.windows[position], n_windows),
    )


def _lines(rows: pd.DataFrame) -> tuple[Line, ...]:
    """The first explanation of each method that was scored."""
    first = {row["method"]: row for row in rows[rows["rank"] == 0].to_dict("records")}
    lines = []
    for method in (method for method in METHODS if method in first):
        row = first[method]
        score, low, high = float(row["auroc"]), float(row["auroc_low"]), float(row["auroc_high"])
        null = (
            float(row["null_permuted_low"]),
            float(row["null_permuted"]),
            float(row["null_permuted_high"]),
        )
        plot = score_plot(score, low, high, null)
        text = visible(str(row["explanation"]))
        lines.append(Line(method, METHOD_NAMES[method], text, score, low, high, null[1], plot))
    return tuple(lines)
