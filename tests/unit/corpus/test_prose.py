import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.corpus.prose import is_prose, prose_paragraphs, unwrap

SENTENCE = "Return the sum of the elements over the given axis."


def test_examples_are_dropped_and_prose_is_kept():
    docstring = f"""{SENTENCE}

    >>> total([1, 2, 3]) # the sum of the elements over an axis
    6

    The elements are summed pairwise,
    which keeps the rounding error small.
    """
    assert prose_paragraphs(docstring) == [
        SENTENCE,
        "The elements are summed pairwise, which keeps the rounding error small.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SENTENCE, True),
        ("Too short to be kept.", False),
        ("x[0] = (1 + 2) * 3 / 4; y[1] = x[0] ** 2 - 5;", False),
        ("Эта документация написана по-русски, а не по-английски.", False),
        ("a" * 29, False),
        ("a" * 30, True),
        ("a" * 75 + "1" * 25, False),
        ("a" * 76 + "1" * 24, True),
        ("a" * 97 + "é" * 3, False),
        ("a" * 98 + "é" * 2, True),
    ],
)
def test_thresholds(text, expected):
    assert is_prose(text) is expected


def test_a_change_of_indentation_keeps_the_line_break_and_underlines_go():
    paragraph = "Parameters\n----------\nx : array\n    A long\n    description.\ny : float"
    assert unwrap(paragraph) == "Parameters\nx : array\nA long description.\ny : float"


@given(st.lists(st.text(alphabet="abc ,", min_size=1), min_size=1))
def test_unwrapping_keeps_every_word_in_order(lines):
    paragraph = "\n".join(lines)
    assert unwrap(paragraph).split() == paragraph.split()
