"""Passages made visible: line breaks, tabs, control and hidden characters shown as signs (no source: a convention)."""

import unicodedata
from collections.abc import Sequence

_SIGNS = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "\t": "\N{RIGHTWARDS ARROW}", "\r": "\\r"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str) -> str:
    r"""The text with a sign for every character that could not be seen or would turn the line.

    Worked example: "a\n\tb\u200b" is "a↵→b[U+200B]".
    """
    return "".join(_sign(character) for character in text)


def visible_token(text: str) -> str:
    """As `visible`; a token of nothing but spaces shows them as open boxes."""
    shown = visible(text)
    return "\N{OPEN BOX}" * len(shown) if shown and not shown.strip(" ") else shown


def merge_tokens(texts: Sequence[str], levels: Sequence[int | None]) -> list[tuple[str, int | None, int]]:
    """Runs of (text, level, position of the first token): unshaded neighbours are one run, shaded tokens their own."""
    runs: list[tuple[str, int | None, int]] = []
    for position, (text, level) in enumerate(zip(texts, levels, strict=True)):
        shown = visible(text) if level is None else visible_token(text)
        if runs and level is None and runs[-1][1] is None:
            runs[-1] = (runs[-1][0] + shown, None, runs[-1][2])
        else:
            runs.append((shown, level, position))
    return runs


def _sign(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if unicodedata.category(character) in _HIDDEN:
        return f"[U+{ord(character):04X}]"
    return character
