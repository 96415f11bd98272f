"""The list of a feature's top tokens as an explanation: a leaky upper reference for the others.

Source: METHODS, embedding score, baselines.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

N_TOP_TOKENS = 10  # as many as the logit lens lists
_REPLACEMENT = "\ufffd"


def top_tokens(tokens: NDArray[np.integer], value: NDArray[np.float32], text_of: Callable[[int], str]) -> str:
    """Return the tokens of largest summed activation, joined by ", "; empty if there are none.

    Tokens that differ but in surrounding space count as one in the list; parts of characters are left out.

    Args:
        tokens: Token id of each occurrence, outside the test contexts.
        value: Activation of the feature at each.
        text_of: Gives the text of a token id.
    """
    ids, place = np.unique(tokens, return_inverse=True)
    mass = np.bincount(place, weights=value, minlength=len(ids))
    listed: dict[str, None] = {}
    for token in ids[np.argsort(-mass, kind="stable")].tolist():
        text = text_of(token).strip()
        if text and _REPLACEMENT not in text:
            listed[text] = None
        if len(listed) == N_TOP_TOKENS:
            break
    return ", ".join(listed)
