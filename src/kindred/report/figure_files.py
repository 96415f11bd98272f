"""Every figure of a study as files."""

from kindred.artefacts.figures import Figures
from kindred.report.appearance import figure_bytes
from kindred.report.figures import draw_figures
from kindred.report.study import Study
from kindred.report.window_sheet import draw_window_sheet, sheet_name


def publish_figures(study: Study, *, dpi: int) -> Figures:
    """Every figure, and a window sheet for each chosen pair, as PNG and PDF."""
    files = {}
    for name, figure in draw_figures(study).items():
        files[f"{name}.png"] = figure_bytes(figure, "png", dpi=dpi)
        files[f"{name}.pdf"] = figure_bytes(figure, "pdf", dpi=dpi)
    for record in (record for pair in study.pairs.values() for record in pair.records):
        sheet, name = draw_window_sheet(record), sheet_name(record)
        files[f"{name}.png"] = figure_bytes(sheet, "png", dpi=dpi)
        files[f"{name}.pdf"] = figure_bytes(sheet, "pdf", dpi=dpi, pdf_font_type=3)
    return Figures(files)
