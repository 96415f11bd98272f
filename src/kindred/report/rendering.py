r"""Tables as CSV, LaTeX (booktabs) and Markdown, with any text escaped so that each compiles or parses.

LaTeX is written for plain pdflatex with \usepackage{booktabs,longtable,array}.
"""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from kindred.characters import mend_surrogates

Format = Literal["csv", "tex", "md"]
LONGEST_FLOAT = 40  # rows; a longer table is broken over pages
EM_DASH = "\N{EM DASH}"
_LINE_END = "\r\n"

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after a row's end a bracket would be read as its optional argument
    "]": "{]}",
    "*": "{*}",
    "\n": r"\textbackslash{}n ",
    "\t": r"\textbackslash{}t ",
    "\r": r"\textbackslash{}r ",
    "\N{EM DASH}": r"\textemdash{}",
    "\N{EN DASH}": r"\textendash{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{LEFT DOUBLE QUOTATION MARK}": r"\textquotedblleft{}",
    "\N{RIGHT DOUBLE QUOTATION MARK}": r"\textquotedblright{}",
    "\N{LEFT SINGLE QUOTATION MARK}": r"\textquoteleft{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": r"\textquoteright{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MINUS SIGN}": "$-$",
}
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"'}
_LIGATURE = re.compile(r"([-'])(?=\1)")  # two hyphens would become a dash, two apostrophes a quotation mark
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&$!])")


@dataclass(frozen=True)
class Table:
    """A data frame and how it is printed.

    The CSV holds every column. LaTeX and Markdown hold those of `headings`, under their printed names (all where it
    is empty); `wide` columns are running text; `transpose` prints the quantities as rows.
    """

    name: str
    frame: pd.DataFrame
    caption: str
    headings: Mapping[str, str] = field(default_factory=dict)
    wide: frozenset[str] = frozenset()
    transpose: bool = False
    notes: tuple[str, ...] = ()


def render(table: Table, form: Format, digits: int) -> str:
    """Print a table in one of three forms, numbers with `digits` significant digits."""
    return {"csv": _csv, "tex": _latex, "md": _markdown}[form](table, digits)


def format_number(value: float, digits: int) -> str:
    """A number with `digits` significant digits, its zeros kept; an em dash for nan.

    Worked example: 0.5 with 3 digits is 0.500, 1234.5 is 1234, 0.00001234 is 1.23e-05.
    """
    if math.isnan(value):
        return EM_DASH
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < 1e9 else f"{value:.{digits - 1}e}"
    return f"{value:#.{digits}g}".rstrip(".")


def escape_latex(text: str) -> str:
    """Any text for LaTeX; a character that pdflatex may not know is written as its code point, [U+4E2D]."""
    escaped = "".join(_latex_character(character) for character in text)
    return _LIGATURE.sub(r"\1{}", escaped)


def escape_markdown(text: str) -> str:
    """Any text for one cell of a Markdown table: one line, no markup, controls as code points."""
    spelled = text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    visible = "".join(
        f"[U+{ord(c):04X}]" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c
        for c in spelled
    )
    return _MARKDOWN.sub(r"\\\1", visible)


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii() and character.isprintable():
        return character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _ACCENTS:
        base = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0])
        return rf"\{_ACCENTS[parts[1]]}{{{base}}}"
    return rf"{{[}}U+{ord(character):04X}{{]}}"


def _csv(table: Table, digits: int) -> str:
    rows = table.frame.itertuples(index=False, name=None)
    lines = [_csv_line(table.frame.columns)]
    lines += [_csv_line([_csv_cell(value, digits) for value in row]) for row in rows]
    return "".join(lines)


def _csv_line(cells: Iterable[object]) -> str:
    """One row, ended by a line feed; a cell with a carriage return is quoted, as one with a line feed is.

    The writer quotes what stands in its own line end. Before Python 3.11.9 that was all: a carriage return in a cell
    was written bare, and ended the row for whoever read it.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator=_LINE_END).writerow(cells)
    return line.getvalue().removesuffix(_LINE_END) + "\n"


def _csv_cell(value: object, digits: int) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{float(value):.{digits}g}"
    return "" if value is None else mend_surrogates(str(value))


def _cell(value: object, digits: int) -> str:
    if value is None:
        return EM_DASH
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return format_number(float(value), digits)
    return str(value)


def _printed(table: Table, digits: int) -> tuple[list[str], list[list[str]], list[bool]]:
    """Headings, rows of cells, and which columns are text."""
    headings = dict(table.headings) or {name: name.replace("_", " ") for name in table.frame.columns}
    frame = table.frame[list(headings)]
    rows = [[_cell(value, digits) for value in row] for row in frame.itertuples(index=False, name=None)]
    is_text = [not pd.api.types.is_numeric_dtype(frame[name].dtype) for name in headings]
    names = list(headings.values())
    if not table.transpose:
        return names, rows, is_text
    columns = list(map(list, zip(*rows, strict=True))) if rows else [[] for _ in names]
    head = ["", *columns[0]]
    body = [[name, *cells] for name, cells in zip(names[1:], columns[1:], strict=True)]
    return head, body, [True, *[False] * len(columns[0])]


def _markdown(table: Table, digits: int) -> str:
    head, rows, is_text = _printed(table, digits)
    lines = [f"**{escape_markdown(table.caption)}**", ""]
    lines.append("| " + " | ".join(escape_markdown(name) for name in head) + " |")
    lines.append("|" + "|".join(" :--- " if text else " ---: " for text in is_text) + "|")
    lines += ["| " + " | ".join(escape_markdown(cell) for cell in row) + " |" for row in rows]
    lines += ["", *(f"- {escape_markdown(note)}" for note in table.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _latex(table: Table, digits: int) -> str:
    head, rows, is_text = _printed(table, digits)
    names = list(table.headings) or list(table.frame.columns)
    wide = [not table.transpose and name in table.wide for name in names] if not table.transpose else []
    wide = wide or [False] * len(head)
    shares = 0.36 / max(sum(wide), 1)
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{shares:.2f}\linewidth}}" if broad else "l" if text else "r"
        for broad, text in zip(wide, is_text, strict=True)
    )
    heading = " & ".join(escape_latex(name) for name in head) + r" \\"
    body = [" & ".join(escape_latex(cell) for cell in row) + r" \\" for row in rows]
    caption = rf"\caption{{{escape_latex(table.caption)}}}\label{{tab:{table.name}}}"
    frame = _longtable if len(rows) > LONGEST_FLOAT else _float
    lines = [r"% needs \usepackage{booktabs,longtable,array,textcomp}"]
    lines += frame(columns, heading, body, caption, [escape_latex(note) for note in table.notes])
    return "\n".join(lines) + "\n"


def _float(columns: str, heading: str, body: list[str], caption: str, notes: list[str]) -> list[str]:
    lines = [r"\begin{table}", r"\centering\footnotesize", caption, rf"\begin{{tabular}}{{{columns}}}"]
    lines += [r"\toprule", heading, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines += [r"\par\smallskip\parbox{\linewidth}{\scriptsize " + " ".join(notes) + "}"]
    return [*lines, r"\end{table}"]


def _longtable(columns: str, heading: str, body: list[str], caption: str, notes: list[str]) -> list[str]:
    lines = [r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}", rf"\begin{{longtable}}{{{columns}}}"]
    lines += [caption + r" \\", r"\toprule", heading, r"\midrule", r"\endfirsthead"]
    lines += [r"\toprule", heading, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
    lines += [*body, r"\end{longtable}"]
    if notes:
        lines += [r"\noindent " + " ".join(notes)]
    return [*lines, r"\endgroup"]
