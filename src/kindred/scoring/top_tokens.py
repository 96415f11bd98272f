"""The list of a feature's top tokens as an explanation: a leaky upper reference for the others.

Source: METHODS, embedding score, baselines.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from kindred.models.words import distinct_words


def top_tokens(
    occurrences: Iterable[tuple[NDArray[np.integer], NDArray[np.float32]]], text_of: Callable[[int], str]
) -> str:
    """Return the words of the tokens of largest summed activation, joined by ", "; empty if there are none.

    Args:
        occurrences: Token ids outside the test contexts, and the activation of the feature at each, in the order of
            the corpus; the sums are taken one after the other, so they do not hang on how many come at a time.
        text_of: Gives the text of a token id.
    """
    mass = np.zeros(0)
    for ids, value in occurrences:
        if len(ids) and ids.max() >= len(mass):
            mass = np.concatenate([mass, np.zeros(int(ids.max()) + 1 - len(mass))])
        np.add.at(mass, ids, value.astype(np.float64))
    ids = np.flatnonzero(mass)  # every activation is positive
    order = np.argsort(-mass[ids], kind="stable")
    return distinct_words(ids[order].tolist(), text_of)
