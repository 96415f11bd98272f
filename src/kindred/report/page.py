"""One self-contained HTML page of the whole case study: verdict, summary, figures, and a card for each pair."""

import base64
import math

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kindred.artefacts.windows import CRITERIA
from kindred.report.appearance import FAINT, GROUP_COLOURS, NULL, SHADES, figure_bytes
from kindred.report.cards import build_cards
from kindred.report.figures import draw_figures
from kindred.report.markup import interval_plot
from kindred.report.passages import visible
from kindred.report.questions import ALL, ask, find, widest_scope
from kindred.report.rendering import EM_DASH
from kindred.report.study import GROUPS, METHOD_NAMES, METHODS, Settings, Study
from kindred.report.summary import baselines_frame, summary_frame
from kindred.report.tables import null_notes, passed_over_notes
from kindred.report.verdict import Finding, findings, headline

DECIMALS = 3  # on the page; the tables have more
_CAPTIONS = {
    "similarity_distribution": "Cosines of the matched features of each pair of SAEs. Dark bars lie above the "
    "threshold (dashed); ticks under the axis mark the pairs chosen for a closer look.",
    "similarity_agreement": "Each point is a chosen pair of features: how alike their directions are, and how alike "
    "their explanations. Horizontal lines are the groups' medians.",
    "auroc_by_group": "How well the self-explanations tell contexts in which the feature fires from others, beside the "
    "same score with explanations shuffled among features.",
    "auroc_by_method": "The same score for each baseline, on the same contexts.",
    "swap_cost": "What is lost when each feature of a pair is scored with its partner's explanation. Zero: the "
    "partner's serves as well; the control pairs say what 'unrelated' looks like.",
    "scale_curves": "The sweep over the steering scale: self-similarity, the uncertainty of the first answer token, "
    "and the composite whose maximum chooses the scale.",
}
_METHOD_MEANINGS = {
    "self": "The model's answer when the feature's direction stands in for the word it is asked to explain.",
    "unsteered": "The answer to the same prompt with nothing injected: the same words for every feature.",
    "continuation": "Text that the model writes after a neutral prompt with the direction added at every position.",
    "logit_lens": "The ten words that the direction promotes through the unembedding; needs no forward pass.",
    "top_tokens": "The tokens on which the feature fires most, from other contexts. It has seen activations, which "
    "the others have not: a leaky upper reference.",
}


def build_report(study: Study, n_windows: int) -> str:
    """The page as HTML: figures, styles and script inside, nothing fetched; equal studies give equal bytes."""
    environment = Environment(
        loader=PackageLoader("kindred.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "percent": _percent, "visible": visible}
    source = environment.loader
    assert source is not None
    style = source.get_source(environment, "report.css")[0]
    script = source.get_source(environment, "report.js")[0]
    answers = ask(study)
    scope = widest_scope(study)
    scopes = [scope, *(name for name in study.pairs if name != scope)]
    return environment.get_template("report.html.j2").render(
        style=Markup(_palette() + style),
        script=Markup(script),
        study=study,
        settings=study.settings,
        verdict=headline(study, answers),
        scopes=[(name, _plotted(findings(study, answers, name))) for name in scopes],
        tiles=[
            find(answers, scope, *named) for named in (("agreement", "control"), ("auroc", "null_permuted"))
        ],
        all_scope=ALL,
        summary=summary_frame(study).to_dict("records"),
        baselines=_baseline_rows(study),
        meanings=_METHOD_MEANINGS,
        figures=_figures(study),
        cards=build_cards(study, n_windows),
        n_windows=n_windows,
        groups=GROUPS,
        criteria=CRITERIA,
        shades=range(len(SHADES)),
        notes=_notes(study),
    )


def _notes(study: Study) -> list[str]:
    settings: Settings = study.settings
    return [
        f"Model: {settings.model}. Experiment seed: {settings.seed}.",
        f"A matched pair is shared where its cosine ({settings.similarity}) exceeds {settings.threshold:g}.",
        *passed_over_notes(study),
        f"A feature is marked not self-explainable where its largest self-similarity over the scales stays below "
        f"{settings.failure_threshold:g}.",
        *null_notes(study),
        "A difference is called one only where its interval leaves out zero and the permutation test agrees; p-values "
        "are two-sided and not adjusted for the number of comparisons. Pairs of SAEs that share an SAE are not "
        "independent of each other.",
    ]


def _plotted(found: list[Finding]) -> list[tuple[str, float, list[tuple[Finding, Markup]]]]:
    """Findings in two blocks, title and reach of the axis first, since groups and methods differ on other scales."""
    blocks = []
    for title, paired in (
        ("Best pairs and control pairs", False),
        ("Self-explanations and what they must beat", True),
    ):
        inside = [item for item in found if item.comparison.paired == paired]
        bounds = [abs(bound) for item in inside for bound in (item.comparison.low, item.comparison.high)]
        reach = max((bound for bound in bounds if math.isfinite(bound)), default=0.0) or 1.0
        plots = [
            interval_plot(item.comparison.difference, item.comparison.low, item.comparison.high, reach)
            for item in inside
        ]
        blocks.append((title, reach, list(zip(inside, plots, strict=True))))
    return blocks


def _baseline_rows(study: Study) -> list[dict[str, object]]:
    """One row per method with one cell for each SAE."""
    found = baselines_frame(study).set_index(["method", "sae"]).to_dict("index")
    rows: list[dict[str, object]] = []
    for method in METHODS:
        cells = [found.get((method, sae)) for sae in study.saes]
        if any(cells):
            rows.append({"method": method, "name": METHOD_NAMES[method], "cells": cells})
    return rows


def _figures(study: Study) -> list[tuple[str, str, Markup]]:
    """Name, caption and data address of each figure; as images, so that their identifiers cannot collide."""
    images = []
    for name, figure in draw_figures(study).items():
        content = base64.b64encode(figure_bytes(figure, "svg", dpi=72)).decode("ascii")
        images.append((name, _CAPTIONS[name], Markup(f"data:image/svg+xml;base64,{content}")))
    return images


def _palette() -> str:
    """The colours of the figures as variables of the style sheet."""
    names = {f"--{group}": colour for group, colour in GROUP_COLOURS.items()}
    names |= {f"--k{level}": colour for level, colour in enumerate(SHADES)}
    names |= {"--null": NULL, "--faint": FAINT}
    return ":root{" + "".join(f"{name}:{colour};" for name, colour in names.items()) + "}\n"


def _number(value: float | None) -> str:
    if value is None or pd.isna(value):
        return EM_DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:.{DECIMALS}f}".replace("-", "\N{MINUS SIGN}")


def _percent(value: float | None) -> str:
    return EM_DASH if value is None or pd.isna(value) else f"{value:.1%}"
