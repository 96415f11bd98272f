"""Tokens as a list of words: what an explanation that consists of tokens says (no source)."""

from collections.abc import Callable, Iterable

N_WORDS = 10  # in the lists of the logit lens and of the top tokens
_REPLACEMENT = "\ufffd"  # what a part of a character decodes to


def distinct_words(tokens: Iterable[int], text_of: Callable[[int], str]) -> str:
    """Return the first ``N_WORDS`` words among the texts of tokens, joined by ", "; empty if there are none.

    White space around a word is cut off, and words that then are the same count as one. Tokens of white space alone
    and parts of characters say nothing and are left out.

    Args:
        tokens: Token ids, best first; no more are taken than are needed.
        text_of: Gives the text of a token id.
    """
    words: dict[str, None] = {}
    for token in tokens:
        word = text_of(token).strip()
        if word and _REPLACEMENT not in word:
            words[word] = None
        if len(words) == N_WORDS:
            break
    return ", ".join(words)
