"""Small pieces of the page: shaded windows and plots as HTML and SVG, every text escaped (no source: a convention)."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from kindred.artefacts.windows import CRITERIA, ActExample, FeatureWindows
from kindred.report.appearance import shade
from kindred.report.passages import merge_tokens

_PLOT = (150, 16)  # pixels of a score's plot; AUROC runs from 0 to 1 over its width
_CURVE = (176, 48)  # pixels of a curve over the scale


def window_markup(example: ActExample, peak: float) -> Markup:
    """One passage with its active tokens marked in shades k0, k1, ...; the activation is the mark's title."""
    parts = []
    levels = [shade(activation, peak) for activation in example.acts]
    for text, level, position in merge_tokens(example.texts, levels):
        if level is None:
            parts.append(str(escape(text)))
        else:
            activation = example.acts[position]
            parts.append(f'<mark class=k{level} title="{activation:.3g}">{escape(text)}</mark>')
    return Markup("".join(parts))


def windows_markup(windows: FeatureWindows, n_windows: int) -> dict[str, list[Markup]]:
    """The first windows of each criterion, shaded over the peak of all windows of the feature."""
    examples: list[ActExample] = [example for name in CRITERIA for example in getattr(windows, name)]
    peak = max((max(example.acts, default=0.0) for example in examples), default=0.0)
    return {
        name: [window_markup(example, peak) for example in getattr(windows, name)[:n_windows]]
        for name in CRITERIA
    }


def score_plot(score: float, low: float, high: float, null: tuple[float, float, float]) -> Markup:
    """A score as a dot on its interval, over the range (low, mean, high) of its null; chance is the faint line."""
    width, height = _PLOT
    middle = height / 2
    shapes = [f'<line x1="{width / 2:g}" x2="{width / 2:g}" y1="0" y2="{height}" class="chance"/>']
    null_low, null_mean, null_high = null
    if math.isfinite(null_low) and math.isfinite(null_high):
        extent = max((null_high - null_low) * width, 1.0)
        shapes.append(
            f'<rect x="{null_low * width:.1f}" y="3" width="{extent:.1f}" height="{height - 6}" class="null"/>'
        )
    if math.isfinite(null_mean):
        place = f"{null_mean * width:.1f}"
        shapes.append(f'<line x1="{place}" x2="{place}" y1="3" y2="{height - 3}" class="null-mean"/>')
    if math.isfinite(low) and math.isfinite(high):
        shapes.append(
            f'<line x1="{low * width:.1f}" x2="{high * width:.1f}" y1="{middle:g}" y2="{middle:g}" class="interval"/>'
        )
    if math.isfinite(score):
        shapes.append(f'<circle cx="{score * width:.1f}" cy="{middle:g}" r="3.5" class="score"/>')
    return _svg(width, height, shapes, "score, interval and null on a line from 0 to 1")


def curve_plot(scales: NDArray[np.float32], values: NDArray[np.float32], best: float, label: str) -> Markup:
    """A curve over the scale with its chosen scale as a dot; the axis runs over the curve's own range."""
    width, height = _CURVE
    x = np.asarray(scales, dtype=np.float64)
    y = np.asarray(values, dtype=np.float64)
    if not np.isfinite(y).all():
        return Markup("")
    span_x, span_y = float(np.ptp(x)) or 1.0, float(np.ptp(y)) or 1.0
    left = 4 + (x - x.min()) / span_x * (width - 8)
    top = height - 6 - (y - y.min()) / span_y * (height - 12)
    chosen = int(np.abs(x - best).argmin())
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(left, top, strict=True))
    shapes = [
        f'<polyline points="{points}" class="curve"/>',
        f'<circle cx="{left[chosen]:.1f}" cy="{top[chosen]:.1f}" r="3.5" class="score"/>',
    ]
    return _svg(width, height, shapes, f"{label} over the scale, from {y.min():.3g} to {y.max():.3g}")


def interval_plot(difference: float, low: float, high: float, reach: float) -> Markup:
    """A difference with its interval around zero; `reach` is the largest magnitude shown at either side."""
    width, height = 200, 18
    middle = height / 2
    shapes = [f'<line x1="{width / 2:g}" x2="{width / 2:g}" y1="0" y2="{height}" class="chance"/>']
    if math.isfinite(difference):
        places = [width / 2 + value / reach * (width / 2 - 5) for value in (low, high, difference)]
        shapes += [
            f'<line x1="{places[0]:.1f}" x2="{places[1]:.1f}" y1="{middle:g}" y2="{middle:g}" class="interval"/>',
            f'<circle cx="{places[2]:.1f}" cy="{middle:g}" r="4" class="score"/>',
        ]
    return _svg(width, height, shapes, f"difference with interval on a line from {-reach:.2g} to {reach:.2g}")


def _svg(width: int, height: int, shapes: Sequence[str], label: str) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(shapes)}</svg>'
    )
