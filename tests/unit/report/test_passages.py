"""Passages show every character and lose none."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from kindred.report.passages import merge_tokens, visible, visible_token


def test_signs():
    assert visible("a\n\tb\u200b\x07") == "a\u21b5\u2192b[U+200B][U+0007]"
    assert visible_token("  ") == "\u2423\u2423"
    assert visible_token(" a") == " a"
    assert visible_token("") == ""


@given(st.text())
def test_nothing_hidden_remains(text):
    assert all(unicodedata.category(character)[0] not in "C" for character in visible(text))


@given(st.lists(st.tuples(st.text(max_size=4), st.one_of(st.none(), st.integers(0, 6))), max_size=12))
def test_merging_keeps_text_and_order(tokens):
    texts, levels = [text for text, _ in tokens], [level for _, level in tokens]
    runs = merge_tokens(texts, levels)
    shown = [visible(text) if level is None else visible_token(text) for text, level in tokens]
    assert "".join(text for text, _, _ in runs) == "".join(shown)
    assert [level for _, level, _ in runs if level is not None] == [
        level for level in levels if level is not None
    ]
    assert all(levels[position] == level for _, level, position in runs)
