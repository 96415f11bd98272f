"""Figures show the study's numbers and are the same bytes each time."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kindred.report.appearance import SHADES, figure_bytes, shade
from kindred.report.figures import FIGURES, draw_similarity_distribution
from kindred.report.window_sheet import LINE, _wrap, draw_window_sheet, sheet_name


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_two_drawings_are_equal_bytes(name, study):
    once, again = (figure_bytes(FIGURES[name](study), "png", dpi=40) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_vector_files_hold_no_time(form, study):
    once, again = (figure_bytes(FIGURES["swap_cost"](study), form, dpi=40) for _ in range(2))
    assert once == again
    assert b"CreationDate" not in once
    assert b"dc:date" not in once


def test_the_picture_is_as_large_as_asked_on_white(study):
    figure = draw_similarity_distribution(study)
    picture = Image.open(io.BytesIO(figure_bytes(figure, "png", dpi=50)))
    assert picture.size == tuple(int(inches * 50) for inches in figure.get_size_inches())
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_the_histogram_counts_every_pair_and_splits_at_the_threshold(study):
    axes = draw_similarity_distribution(study).axes[0]
    similarity = study.pairs["seeds"].matching.similarity
    bars = axes.patches
    assert sum(bar.get_height() for bar in bars) == len(similarity)
    above = sum(bar.get_height() for bar in bars if bar.get_x() >= 0.7 - 1e-9)
    assert above == np.count_nonzero(similarity >= 0.7)


def test_figures_bear_missing_values(study):
    pairs = {
        name: replace(pair, records=tuple(r.model_copy(update={"agreement": None}) for r in pair.records))
        for name, pair in study.pairs.items()
    }
    for draw in FIGURES.values():
        assert figure_bytes(draw(replace(study, pairs=pairs)), "png", dpi=30)


def test_shades_rise_with_activation_and_stay_legible():
    assert shade(0.0, 1.0) is None
    assert shade(1e-6, 1.0) == 0
    assert shade(1.0, 1.0) == len(SHADES) - 1
    for colour in SHADES:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert (luminance + 0.05) / (0.0056 + 0.05) > 8  # against #111


def test_a_sheet_shows_both_features_and_awkward_text_is_drawable(study):
    record = study.pairs["seeds"].records[0]
    sheet = draw_window_sheet(record)
    words = "\n".join(text.get_text() for text in sheet.axes[0].texts)
    for side in (0, 1):
        assert f"{record.saes[side]}, feature {record.indices[side]}" in words
    awkward = record.model_copy(update={"self_explanations": ("\u4e2d\u6587 \U0001f600 $x_1$ \x07", "")})
    once, again = (figure_bytes(draw_window_sheet(awkward), "pdf", dpi=40, pdf_font_type=3) for _ in range(2))
    assert once == again
    assert sheet_name(record) == "windows/seeds-best-01"


def test_wrapping_keeps_all_tokens_and_the_line_length():
    runs = [(" word", None), ("x" * (2 * LINE + 5), 3), (" end", 1)] * 7
    lines = _wrap(runs)
    assert "".join(text for line in lines for text, _ in line) == "".join(text for text, _ in runs)
    assert max(sum(len(text) for text, _ in line) for line in lines) <= LINE
