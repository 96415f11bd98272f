"""The window sheet of one pair: the top activated windows of both features side by side.

Source: docs/methods.md, section 3.
"""

import textwrap
from collections.abc import Sequence
from functools import cache

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle

from kindred.artefacts.case_study import MatchedFeature
from kindred.artefacts.windows import CRITERIA, ActExample
from kindred.report.appearance import FAINT, GROUP_COLOURS, INK, SHADES, STYLE, new_figure, shade
from kindred.report.passages import visible, visible_token

N_WINDOWS = 4  # for each criterion; the page and the JSON hold the rest
LINE = 78  # characters of one line of a passage
_SIZE = 6.5  # points; a character of DejaVu Sans Mono is 0.602 of it wide
_ADVANCE = _SIZE * 0.602 / 72  # inches
_PITCH = 0.135  # inches from line to line
_MARGIN = 0.25  # inches
_TOP = 0.6  # inches to the first line

Run = tuple[str, int | None]


def draw_window_sheet(record: MatchedFeature) -> Figure:
    """One page for one pair: a column for each feature, tokens shaded by activation over the feature's shown peak."""
    columns = [_column(record, side) for side in (0, 1)]
    column_width = LINE * _ADVANCE
    width = 3 * _MARGIN + 2 * column_width
    height = _TOP + max(sum(_step(kind) for kind, _ in column) for column in columns) + 0.1
    with mpl.rc_context(dict(STYLE)):
        figure = new_figure(width, height)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.axis("off")
        title = f"{record.pair}, {record.group} {record.rank + 1}"
        axes.text(_MARGIN, 0.3, title, fontsize=10, weight="bold", color=GROUP_COLOURS[record.group])
        axes.text(width - _MARGIN, 0.3, _numbers(record), fontsize=8, color=FAINT, ha="right")
        for side, column in enumerate(columns):
            _draw_column(axes, _MARGIN + side * (column_width + _MARGIN), _TOP, column)
    return figure


def sheet_name(record: MatchedFeature) -> str:
    """The sheet's file name without suffix, counted from one: windows/seeds-best-01 is rank 0."""
    return f"windows/{record.pair}-{record.group}-{record.rank + 1:02d}"


def _numbers(record: MatchedFeature) -> str:
    agreement = "unknown" if record.agreement is None else f"{record.agreement:.3f}"
    shown = {"cosine": f"{record.similarity:.3f}", "agreement": agreement}
    shown["context overlap"] = f"{record.context_jaccard:.3f}"
    return "    ".join(f"{name} {number}" for name, number in shown.items())


def _column(record: MatchedFeature, side: int) -> list[tuple[str, list[Run]]]:
    """The lines of one feature, each with its kind: heading, label or passage."""
    score = record.eleuthers[side]
    auroc = "not scored" if score is None else f"AUROC {score:.3f}"
    mark = "" if record.self_explainable[side] else ", not self-explainable"
    lines: list[tuple[str, list[Run]]] = [
        ("heading", [(f"{record.saes[side]}, feature {record.indices[side]} ({auroc}{mark})", None)])
    ]
    said = " ".join(record.self_explanations[side].split())
    lines += [
        ("quote", [(part, None)])
        for part in textwrap.wrap(_drawable(visible(said)), LINE, max_lines=2) or ["(no words)"]
    ]
    windows = record.windows[side]
    examples = [example for name in CRITERIA for example in getattr(windows, name)]
    peak = max((max(example.acts, default=0.0) for example in examples), default=0.0)
    for name in CRITERIA:
        lines += [("gap", []), ("label", [(f"by {name}", None)])]
        for example in getattr(windows, name)[:N_WINDOWS]:
            lines += [("passage", line) for line in _wrap(_runs(example, peak))]
            lines.append(("space", []))
    return lines


def _runs(example: ActExample, peak: float) -> list[Run]:
    levels = [shade(activation, peak) for activation in example.acts]
    shown = [
        visible(text) if level is None else visible_token(text)
        for text, level in zip(example.texts, levels, strict=True)
    ]
    return [(_drawable(text), level) for text, level in zip(shown, levels, strict=True)]


def _wrap(runs: Sequence[Run]) -> list[list[Run]]:
    """Break a passage into lines of at most LINE characters, between tokens where one fits on a line."""
    lines: list[list[Run]] = [[]]
    room = LINE
    for text, level in runs:
        if len(text) > room:
            lines.append([])
            room = LINE
        for start in range(0, len(text), LINE):
            part = text[start : start + LINE]
            if start:
                lines.append([])
                room = LINE
            lines[-1].append((part, level))
            room -= len(part)
    return [line for line in lines if line]


def _draw_column(axes: Axes, left: float, top: float, lines: list[tuple[str, list[Run]]]) -> None:
    boxes: list[Rectangle] = []
    colours: list[str] = []
    baseline = top
    for kind, runs in lines:
        text = "".join(part for part, _ in runs)
        if kind == "passage":
            start = left
            for part, level in runs:
                if level is not None:
                    boxes.append(Rectangle((start, baseline - 0.098), len(part) * _ADVANCE, 0.13))
                    colours.append(SHADES[level])
                start += len(part) * _ADVANCE
            axes.text(left, baseline, text, fontsize=_SIZE, family="DejaVu Sans Mono", color=INK)
        elif text:
            weight = "bold" if kind == "heading" else "normal"
            style = "italic" if kind == "quote" else "normal"
            axes.text(
                left,
                baseline,
                text,
                fontsize=7.5,
                weight=weight,
                style=style,
                color=FAINT if kind == "label" else INK,
            )
        baseline += _step(kind)
    axes.add_collection(PatchCollection(boxes, facecolors=colours, linewidths=0, zorder=0))


def _step(kind: str) -> float:
    """Inches from a line of this kind to the next."""
    return _PITCH * (0.45 if kind in ("gap", "space") else 1.0)


@cache
def _characters() -> frozenset[int]:
    """The characters that every face used on a sheet can draw."""
    faces = [
        FontProperties(family="DejaVu Sans Mono"),
        FontProperties(family="DejaVu Sans"),
        FontProperties(family="DejaVu Sans", weight="bold"),
        FontProperties(family="DejaVu Sans", style="italic"),
    ]
    return frozenset.intersection(*(frozenset(get_font(findfont(face)).get_charmap()) for face in faces))


def _drawable(text: str) -> str:
    """The text with a box for each character that the font lacks."""
    return "".join(character if ord(character) in _characters() else "\N{WHITE SQUARE}" for character in text)
