"""Any text comes back from every form that it is published in, read by parsers that are not ours."""

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pydantic_core
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kindred.artefacts.windows import ActExample
from kindred.characters import mend_surrogates
from kindred.report.markup import window_markup
from kindred.report.passages import visible
from kindred.report.rendering import Table, escape_latex, escape_markdown, render
from kindred.report.tables import _json
from kindred.verification.printed import compare_printed
from kindred.verification.tables import compare_tables
from kindred.verification.tolerance import STATED

ODD = (
    "\r\n\t\0\x07\x0b\x0c\x1b\x1c\x1d\x1e\x7f\x85\xa0\xad\u061c\u200b\u200d\u200e\u202a\u202e\u2028\u2029\u2066\u2069"
    "\u3000\ufeff\ufffd\ufffe\U000e0041\U0010ffff\ud83d\ude00|\\`*_{}[]()<>#+-.!~&$%^\"',;:=@/?"
)
# One odd character in two, so that each meets each.
CHARACTERS = (
    st.sampled_from(ODD) | st.characters(codec=None, categories=None) | st.sampled_from("ab 01\u4e2d")
)
TEXTS = st.text(CHARACTERS, max_size=12)
# All that LaTeX is given besides plain characters.
COMMANDS = (
    r"\\[a-zA-Z]+\{\}",
    r"\\[\\{}$&#%_]",
    r"\\[`'^~\"]\{(\\i|\\j|[A-Za-z])\}",
    r"\$(-|\\times)\$",
    r"\{[\[\]*]\}",
    r"\{\}",
    r"\\textbackslash\{\}[nrt] ",
)
SPECIMENS = (
    "\r",
    "a\rb",
    "\r\n",
    "\n",
    '"',
    '"\r',
    "a\0b",
    "\ud83d",
    "=1+1",
    "NA",
    "nan",
    " a ",
    "\ufeff",
    "--",
    "",
)


def examples(test):
    for text in SPECIMENS:
        test = example(text=text)(test)
    return test


def table(text: str) -> Table:
    frame = pd.DataFrame(
        {"sae": ["a", "b"], "explanation": pd.Series([text, "plain"], dtype=object), "x": [0.5, 1.5]}
    )
    return Table("things", frame, "Things")


@examples
@given(text=TEXTS)
def test_csv_by_three_readers(text):
    content = render(table(text), "csv", 4)
    expected = [["sae", "explanation", "x"], ["a", mend_surrogates(text), "0.5"], ["b", "plain", "1.5"]]
    assert list(csv.reader(io.StringIO(content, newline=""), strict=True)) == expected
    found = pyarrow.csv.read_csv(
        io.BytesIO(content.encode()),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(expected[0], pa.string())),
    )
    assert [
        found.column_names,
        *map(list, zip(*(column.to_pylist() for column in found.columns), strict=True)),
    ] == (expected)
    frame = pd.read_csv(io.StringIO(content, newline=""), dtype=str, keep_default_na=False)
    assert [list(frame.columns), *frame.to_numpy().tolist()] == expected


@examples
@given(text=TEXTS)
def test_our_own_reader_of_tables(text):
    content = render(table(text), "csv", 4).encode()
    assert compare_tables("things.csv", content, content, STATED).n_cells == 6


@examples
@given(text=TEXTS)
def test_json_by_two_readers(text):
    content = _json({"explanation": text, "texts": [text, "plain"]}, 0).encode()
    expected = {"explanation": mend_surrogates(text), "texts": [mend_surrogates(text), "plain"]}
    assert json.loads(content) == pydantic_core.from_json(content) == expected


@examples
@given(text=TEXTS)
def test_markdown_is_one_cell_of_text(text):
    content = render(table(text), "md", 4)
    assert all(is_shown(character) for character in content.replace("\n", ""))
    tokens = MarkdownIt("commonmark").enable("table").parse(content)
    cells = [token for token in tokens if token.type == "inline"][1:]
    assert [cell.content for cell in cells[:3]] == ["sae", "explanation", "x"]
    assert len(cells) == 9
    (children,) = [cell.children for cell in cells[4:5]]
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children).strip() == spelled(text).strip()


def spelled(text: str) -> str:
    """The text as Markdown shows it: what cannot be printed is spelled."""
    text = text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return "".join(c if is_shown(c) else f"[U+{ord(c):04X}]" for c in text)


def is_shown(character: str) -> bool:
    """Whether a character can be seen, or is a space of some width."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


@examples
@given(text=TEXTS)
def test_latex_holds_nothing_but_known_commands(text):
    escaped = escape_latex(text)
    assert escaped.isascii()
    assert escaped.isprintable()
    rest = re.sub("|".join(COMMANDS), "", escaped)
    assert not set(rest) & set("$&#%_^~\\{}")


@examples
@given(text=TEXTS)
def test_latex_and_markdown_have_a_line_for_a_row_by_any_reader_of_lines(text):
    for form in ("tex", "md"):
        content = render(table(text), form, 4)
        assert content.splitlines() == content.removesuffix("\n").split("\n")
        assert len(content.splitlines()) == len(render(table("plain"), form, 4).splitlines())
        assert compare_printed(f"things.{form}", content.encode(), content.encode(), STATED).identical


class Text(HTMLParser):
    """Collects text and tags."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: list[str] = []

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


@examples
@given(text=TEXTS)
def test_html_is_text_that_turns_nothing_around(text):
    markup = str(window_markup(ActExample(tokens=[1, 2], texts=[text, "b"], acts=[0.0, 1.0]), 1.0))
    page = Text()
    page.feed(markup)
    page.close()
    assert page.text == visible(text) + "b"
    assert page.tags == ["mark"]
    assert all(is_shown(character) for character in page.text)
    page.text.encode()


@pytest.mark.parametrize("character", sorted(set(ODD)))
def test_each_odd_character_is_told_from_every_other(character):
    others = set(ODD) - {character}
    for escape in (escape_latex, escape_markdown, visible):
        assert escape(character) not in {escape(other) for other in others}
