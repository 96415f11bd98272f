"""Colours, fonts and file bytes of all figures and the page (palette: Okabe & Ito 2008, for colour blindness)."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType
from PIL import Image

INK = "#1c2329"
FAINT = "#6b7680"
GRID = "#e4e7ea"
NULL = "#9aa3ab"
GROUP_COLOURS = {"best": "#0072b2", "worst": "#c4540a", "control": "#6b7680"}
METHOD_COLOURS = {
    "self": "#0072b2",
    "unsteered": "#6b7680",
    "continuation": "#009e73",
    "logit_lens": "#a0569a",
    "top_tokens": "#b07d00",
}
# One hue from pale to strong; dark ink keeps a contrast of at least 8:1 on each of them.
SHADES = ("#fff8dc", "#fff0bd", "#ffe79b", "#ffdc77", "#ffd054", "#fcc131", "#f5b018")

STYLE: Mapping[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,
    # Unhinted letters keep their true widths, by which the shades of tokens are placed.
    "text.hinting": "no_hinting",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "kindred",
}
# Whatever would carry the time or the maker's version is left out, so that equal figures are equal bytes.
_METADATA: Mapping[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


def shade(activation: float, peak: float) -> int | None:
    """The index into SHADES of an activation, in equal steps up to `peak`; None where there is no activation."""
    if activation <= 0 or peak <= 0:
        return None
    return min(int(activation / peak * len(SHADES)), len(SHADES) - 1)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, independent of pyplot's state; call it inside `mpl.rc_context(STYLE)`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_bytes(
    figure: Figure, form: Literal["png", "pdf", "svg"], *, dpi: int, pdf_font_type: Literal[3, 42] = 42
) -> bytes:
    """The figure as a file's content; equal figures give equal bytes.

    The canvas is asked directly, since `savefig` would lay out every text twice. A PNG keeps 256 colours: a figure
    has fewer but for the smoothing of its edges, and the file is a third of the size. In a PDF, fonts of type 42
    are what publishers ask for; type 3 takes a third of the time.
    """
    content = io.BytesIO()
    with mpl.rc_context({**STYLE, "pdf.fonttype": pdf_font_type}):
        figure.dpi = dpi
        if form == "png":
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
            few = picture.quantize(colors=256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(content, format="png", dpi=(dpi, dpi))
        elif form == "pdf":
            FigureCanvasPdf(figure).print_pdf(content, metadata=dict(_METADATA["pdf"]))
        else:
            FigureCanvasSVG(figure).print_svg(content, metadata=dict(_METADATA["svg"]))
    return content.getvalue()
