"""Tables print the same numbers in three forms, and no text breaks any of them."""

import csv
import io
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.report.rendering import Table, escape_latex, escape_markdown, format_number, render

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.5, 4, "0.5000"),
        (0.123456, 4, "0.1235"),
        (1234.5, 3, "1234"),
        (12.0, 2, "12"),
        (0.00001234, 3, "1.23e-05"),
        (-0.25, 3, "-0.250"),
        (0.0, 3, "0.00"),
        (NAN, 3, "\u2014"),
    ],
)
def test_format_number(value, digits, expected):
    assert format_number(value, digits) == expected


@given(st.floats(-1e6, 1e6), st.integers(2, 8))
def test_a_printed_number_keeps_its_digits(value, digits):
    assert float(format_number(value, digits)) == pytest.approx(value, rel=10 ** (1 - digits), abs=0)


def table(**changes):
    frame = pd.DataFrame(
        {
            "name": ["a|b\n_%", "plain"],
            "value": np.array([0.123456, NAN]),
            "count": [3, 4],
            "fine": [True, False],
        }
    )
    return Table(**{"name": "things", "frame": frame, "caption": "Things & more", **changes})


def test_csv_leaves_nan_empty_and_round_trips():
    text = render(table(), "csv", 4)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [
        ["name", "value", "count", "fine"],
        ["a|b\n_%", "0.1235", "3", "true"],
        ["plain", "", "4", "false"],
    ]


def test_markdown_has_one_line_for_a_row():
    lines = render(table(notes=("a note",)), "md", 3).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows[2] == r"| a\|b\\n\_% | 0.123 | 3 | yes |"
    assert "| \u2014 |" in rows[3]
    assert "| :--- | ---: | ---: | :--- |" in rows[1].replace("  ", " ") or rows[1].count("|") == 5
    assert lines[-1] == "- a note"


def test_latex_escapes_and_uses_booktabs():
    text = render(table(notes=("50 % of #1",)), "tex", 3)
    assert r"a\textbar{}b\textbackslash{}n \_\% & 0.123 & 3 & yes \\" in text
    assert r"\toprule" in text
    assert r"\caption{Things \& more}" in text
    assert r"50 \% of \#1" in text


def test_a_long_table_is_broken_over_pages():
    frame = pd.DataFrame({"x": range(100)})
    assert r"\begin{longtable}" in render(table(frame=frame), "tex", 3)


def test_a_transposed_table_has_quantities_as_rows():
    frame = pd.DataFrame({"pair": ["seeds", "data"], "ratio": [0.17, 0.16]})
    text = render(table(frame=frame, transpose=True), "md", 2)
    assert "| ratio | 0.17 | 0.16 |" in text


def test_headings_choose_the_printed_columns_but_not_those_of_the_csv():
    chosen = table(headings={"count": "How many"})
    assert "| How many |" in render(chosen, "md", 3)
    assert "name" in render(chosen, "csv", 3).splitlines()[0]


@given(st.text())
def test_no_text_is_special_to_latex(text):
    escaped = escape_latex(text)
    assert escaped.isascii()
    assert "\n" not in escaped
    bare = re.sub(r"\\[a-zA-Z]+(\{\})?|\\[\\{}$&#%_^~'\"`]|\$(-|\\times)\$|\{[-\[\]*]\}", "", escaped)
    assert not set(bare) & set("$&#%_^~\\")


@given(st.text())
def test_no_text_leaves_its_markdown_cell(text):
    escaped = escape_markdown(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(\\\\)*\|", escaped)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_pdflatex_compiles_awkward_text(tmp_path):
    characters = "".join(chr(code) for code in range(0, 0x250)) + "\u4e2d\U0001f600\u202e\u2014\u2026``--''"
    frame = pd.DataFrame({"text": [characters[i : i + 12] for i in range(0, len(characters), 12)], "x": NAN})
    long = render(table(frame=frame, wide=frozenset({"text"}), headings={"text": "T", "x": "x"}), "tex", 3)
    document = r"\documentclass{article}\usepackage{booktabs,longtable,array,textcomp}\begin{document}"
    document += long + render(table(notes=("n",)), "tex", 3) + r"\end{document}"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]
