"""The figures of the case study, drawn without pyplot so that none shares state.

Source: docs/methods.md, sections 2, 4, 5 and 6.
"""

from collections.abc import Callable, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kindred.report.appearance import FAINT, GROUP_COLOURS, INK, METHOD_COLOURS, NULL, STYLE, new_figure
from kindred.report.comparison import Values
from kindred.report.frames import pairs_frame, scores_frame
from kindred.report.study import GROUPS, METHOD_NAMES, METHODS, Group, PairStudy, Study

WIDTH = 9.0  # inches
_BIN = 0.02  # of the histogram of cosines
_MARKERS = {"best": "o", "worst": "s", "control": "D"}


def draw_figures(study: Study) -> dict[str, Figure]:
    """All figures but the window sheets, by file name without suffix."""
    return {name: draw(study) for name, draw in FIGURES.items()}


def draw_similarity_distribution(study: Study) -> Figure:
    """How similar matched features are, with the threshold of a shared one, for each pair of SAEs."""
    with mpl.rc_context(dict(STYLE)):
        figure = new_figure(WIDTH, 0.3 + 2.8 * len(study.pairs))
        panels = figure.subplots(len(study.pairs), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, pair) in zip(panels, study.pairs.items(), strict=True):
            _similarity_panel(axes, name, pair, study.settings.threshold)
        panels[-1].set_xlabel(f"cosine of matched features ({study.settings.similarity})")
    return figure


def _similarity_panel(axes: Axes, name: str, pair: PairStudy, threshold: float) -> None:
    values = np.asarray(pair.matching.similarity, dtype=np.float64)
    # The threshold is an edge, so that no bar is half shared.
    below = int(np.ceil((threshold - min(0.0, values.min())) / _BIN))
    above = int(np.ceil((1.0 - threshold) / _BIN))
    edges = threshold + _BIN * np.arange(-below, above + 1)
    counts, _ = np.histogram(values, bins=edges)
    shared = np.arange(len(counts)) >= below
    colours = np.where(shared, GROUP_COLOURS["best"], "#b9cfdd")
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=colours, linewidth=0)
    axes.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    share = float((values > threshold).mean())
    axes.annotate(
        f"above {threshold:g}: {share:.1%} of {len(values)}",
        (threshold, 0.98),
        xycoords=("data", "axes fraction"),
        xytext=(6, 0),
        textcoords="offset points",
        va="top",
        fontsize=9,
    )
    for row, group in enumerate(GROUPS):
        _ticks_of_chosen(axes, pair, group, -0.07 - 0.075 * row)
    axes.tick_params(axis="x", pad=36, length=0, labelbottom=True)
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)
    axes.set_title(f"{name}: {pair.saes[0]} and {pair.saes[1]}")
    axes.set_ylabel("matched pairs")


def _ticks_of_chosen(axes: Axes, pair: PairStudy, group: Group, height: float) -> None:
    """The cosines of a group's chosen pairs as ticks in a row of their own under the axis."""
    found = [record.similarity for record in pair.records if record.group == group]
    axes.plot(
        found,
        np.full(len(found), height),
        linestyle="",
        marker="|",
        markersize=7,
        color=GROUP_COLOURS[group],
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )
    axes.text(
        1.01, height, group, color=GROUP_COLOURS[group], transform=axes.transAxes, fontsize=8, va="center"
    )


def draw_similarity_agreement(study: Study) -> Figure:
    """Whether features of similar directions get explanations that say the same."""
    frame = pairs_frame(study)
    with mpl.rc_context(dict(STYLE)):
        figure = new_figure(WIDTH, 4.0)
        panels = figure.subplots(1, len(study.pairs), sharex=True, sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, study.pairs, strict=True):
            for group in GROUPS:
                part = frame[(frame["pair"] == name) & (frame["group"] == group)]
                style = {"color": GROUP_COLOURS[group], "marker": _MARKERS[group], "linewidths": 0.6}
                label = (
                    f"{group} (median {part['agreement'].median():.2f})"
                    if part["agreement"].notna().any()
                    else group
                )
                axes.scatter(
                    part["similarity"],
                    part["agreement"],
                    s=26,
                    alpha=0.8,
                    edgecolors="white",
                    label=label,
                    **style,
                )
                if part["agreement"].notna().any():
                    axes.axhline(
                        part["agreement"].median(), color=GROUP_COLOURS[group], linewidth=1, alpha=0.55
                    )
            axes.set_title(name)
            axes.set_xlabel("cosine of the two features")
            axes.legend(loc="best", fontsize=8)
        panels[0].set_ylabel("agreement of their explanations\n(cosine of embeddings)")
    return figure


def draw_auroc_by_group(study: Study) -> Figure:
    """AUROC of the self-explanations by group, beside the permuted null of the same features."""

    def draw(axes: Axes, place: int, part: pd.DataFrame, colour: str) -> None:
        _strip(axes, place - 0.16, _both_sides(part, "auroc"), colour)
        _strip(axes, place + 0.2, _both_sides(part, "null_permuted"), NULL, hollow=True)

    note = "filled: each feature's score; hollow: its permuted null; bars: medians; dashed: chance"
    return _group_panels(study, draw, 3.8, 0.5, "AUROC of the self-explanation", note)


def draw_auroc_by_method(study: Study) -> Figure:
    """AUROC of the self-explanations beside every baseline and the null, for each SAE."""
    frame = scores_frame(study)
    frame = frame[frame["rank"] == 0]
    methods = [method for method in METHODS if method in set(frame["method"])]
    with mpl.rc_context(dict(STYLE)):
        figure = new_figure(WIDTH, 3.8)
        panels = figure.subplots(1, len(study.saes), sharey=True, squeeze=False)[0]
        for axes, sae in zip(panels, study.saes, strict=True):
            own = frame[frame["sae"] == sae]
            for place, method in enumerate(methods):
                values = own.loc[own["method"] == method, "auroc"].to_numpy(dtype=np.float64)
                _strip(axes, place, values, METHOD_COLOURS[method])
            null = own.loc[own["method"] == "self", "null_permuted"].to_numpy(dtype=np.float64)
            _strip(axes, len(methods), null, NULL, hollow=True)
            names = [*(METHOD_NAMES[method] for method in methods), "permuted null"]
            axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
            axes.axhline(0.5, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.grid(axis="x", visible=False)
            axes.set_title(sae)
        panels[0].set_ylabel("AUROC")
    return figure


def draw_swap_cost(study: Study) -> Figure:
    """What it costs to score a feature with its partner's explanation, by group."""

    def draw(axes: Axes, place: int, part: pd.DataFrame, colour: str) -> None:
        _strip(axes, place, part["swap_cost"].to_numpy(dtype=np.float64), colour)

    return _group_panels(study, draw, 3.4, 0.0, "own minus swapped AUROC")


def _group_panels(
    study: Study,
    draw: Callable[[Axes, int, pd.DataFrame, str], None],
    height: float,
    reference: float,
    label: str,
    note: str | None = None,
) -> Figure:
    """A panel for each pair of SAEs with a place for each group, which `draw` fills, and a line at a reference."""
    frame = pairs_frame(study)
    with mpl.rc_context(dict(STYLE)):
        figure = new_figure(WIDTH, height)
        panels = figure.subplots(1, len(study.pairs), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, study.pairs, strict=True):
            for place, group in enumerate(GROUPS):
                part = frame[(frame["pair"] == name) & (frame["group"] == group)]
                draw(axes, place, part, GROUP_COLOURS[group])
            axes.axhline(reference, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.set_xticks(range(len(GROUPS)), GROUPS)
            axes.grid(axis="x", visible=False)
            axes.set_title(name)
        panels[0].set_ylabel(label)
        if note is not None:
            figure.supxlabel(note, fontsize=8)
    return figure


def draw_scale_curves(study: Study) -> Figure:
    """Self-similarity, entropy and their composite over the scale, with the chosen scales."""
    rows = (
        ("self_similarity", "self-similarity"),
        ("entropy", "entropy (nats)" if study.settings.metric == "entropy" else "cross-entropy (nats)"),
        ("composite", "composite"),
    )
    with mpl.rc_context(dict(STYLE)):
        figure = new_figure(WIDTH, 6.2)
        panels = figure.subplots(3, len(study.saes), sharex=True, sharey="row", squeeze=False)
        for column, (name, sae) in enumerate(study.saes.items()):
            scales = np.asarray(sae.explanations.scales, dtype=np.float64)
            for axes, (quantity, label) in zip(panels[:, column], rows, strict=True):
                values = np.asarray(getattr(sae.explanations, quantity), dtype=np.float64)
                _curves(axes, scales, values, np.asarray(sae.explanations.best_scale, dtype=np.float64))
                if column == 0:
                    axes.set_ylabel(label)
            threshold = study.settings.failure_threshold
            panels[0, column].axhline(
                threshold, color=GROUP_COLOURS["worst"], linewidth=1, linestyle=(0, (4, 3))
            )
            failed = int((~np.asarray(sae.explanations.self_explainable, dtype=bool)).sum())
            title = f"{name}\n{failed} of {len(sae.explanations.features)} not explainable"
            panels[0, column].set_title(title, fontsize=9)
            panels[-1, column].set_xlabel(f"scale ({study.settings.norm})")
        figure.supxlabel(
            "thin: one feature; thick: median; dots: the chosen scale of each; dashed: failure threshold",
            fontsize=8,
        )
    return figure


def _curves(axes: Axes, scales: Values, values: Values, best: Values) -> None:
    axes.plot(scales, values.T, color=GROUP_COLOURS["best"], linewidth=0.6, alpha=0.28)
    axes.plot(scales, np.median(values, axis=0), color=INK, linewidth=1.8)
    chosen = np.abs(scales[None, :] - best[:, None]).argmin(axis=1)
    axes.scatter(
        scales[chosen],
        values[np.arange(len(chosen)), chosen],
        s=11,
        color=GROUP_COLOURS["worst"],
        zorder=3,
        linewidths=0,
    )


def _strip(axes: Axes, place: float, values: Values, colour: str, *, hollow: bool = False) -> None:
    """Each value as a dot, spread in a fixed pattern, with a bar at the median."""
    kept = np.sort(values[np.isfinite(values)])
    if len(kept) == 0:
        return
    # The golden ratio's multiples spread neighbours apart without a random draw.
    spread = ((np.arange(len(kept)) * 0.6180339887) % 1.0 - 0.5) * 0.2
    faces = "none" if hollow else colour
    axes.scatter(
        place + spread,
        kept,
        s=13,
        facecolors=faces,
        edgecolors=colour,
        alpha=0.7,
        linewidths=0.8 if hollow else 0,
    )
    axes.hlines(np.median(kept), place - 0.15, place + 0.15, color=INK, linewidth=1.8, zorder=3)


def _both_sides(frame: pd.DataFrame, quantity: str) -> Values:
    return frame[[f"{quantity}_left", f"{quantity}_right"]].to_numpy(dtype=np.float64).ravel()


FIGURES: Mapping[str, Callable[[Study], Figure]] = {
    "similarity_distribution": draw_similarity_distribution,
    "similarity_agreement": draw_similarity_agreement,
    "auroc_by_group": draw_auroc_by_group,
    "auroc_by_method": draw_auroc_by_method,
    "swap_cost": draw_swap_cost,
    "scale_curves": draw_scale_curves,
}
