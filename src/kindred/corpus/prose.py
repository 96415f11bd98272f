"""Docstrings to paragraphs of English prose: signatures and example code are not text about anything.

The thresholds were chosen on the documentation of scientific Python packages: they keep sentences and
parameter descriptions, and drop formulas, tables, code and non-English text.
"""

import inspect
import re

MINIMUM_CHARACTERS = 30
MINIMUM_LETTER_SHARE = 0.75
MINIMUM_ASCII_SHARE = 0.97

_BLANK_LINES = re.compile(r"\n\s*\n")
_UNDERLINE = re.compile(r"[-=~^*#_+.`]{3,}")
_LETTERS_AND_SPACES = re.compile(r"[A-Za-z ]")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")


def prose_paragraphs(docstring: str) -> list[str]:
    """Return the paragraphs of a docstring that are mostly English prose, unwrapped, in their order.

    Paragraphs with a doctest prompt (``>>>``) are examples and are dropped.
    """
    paragraphs = _BLANK_LINES.split(inspect.cleandoc(docstring))
    unwrapped = (unwrap(paragraph) for paragraph in paragraphs if ">>>" not in paragraph)
    return [paragraph for paragraph in unwrapped if is_prose(paragraph)]


def is_prose(text: str) -> bool:
    """Whether a text is mostly English prose: long enough, nearly all ASCII, mostly letters and spaces."""
    length = len(text)
    if length < MINIMUM_CHARACTERS:
        return False
    letters = len(_LETTERS_AND_SPACES.findall(text))
    non_ascii = len(_NON_ASCII.findall(text))
    return letters > MINIMUM_LETTER_SHARE * length and length - non_ascii > MINIMUM_ASCII_SHARE * length


def unwrap(paragraph: str) -> str:
    r"""Join the wrapped lines of a paragraph; a line break is kept where the indentation changes.

    A change of indentation is the layout of a list or of a parameter's description; an equal one is a
    sentence wrapped at the author's line width, which a language model should not have to learn. Underlines
    of headings are dropped.

    >>> unwrap("x : array\n    A long\n    sentence.")
    'x : array\nA long sentence.'
    """
    lines: list[str] = []
    previous_indent = -1
    for line in paragraph.expandtabs().splitlines():
        words = " ".join(line.split())
        indent = len(line) - len(line.lstrip())
        if _UNDERLINE.fullmatch(words):
            previous_indent = -1
        elif lines and indent == previous_indent:
            lines[-1] += " " + words
        else:
            lines.append(words)
            previous_indent = indent
    return "\n".join(lines)
