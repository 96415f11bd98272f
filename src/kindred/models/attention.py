"""Which positions of a packed context the model attends to (docs/methods.md, section 1)."""

import numpy as np
from numpy.typing import NDArray


def attended_positions(is_special: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is attended to: all positions up to the last that is not special, and BOS in any case.

    Special positions behind that are padding. BOS, and an EOS between two documents of a context, are attended to, as
    when the model was trained.

    Args:
        is_special: True at BOS, EOS and padding, bool [context, position].

    Returns:
        Bool [context, position].

    Example:
        BOS, a token, EOS, a token, padding:

        >>> attended_positions(np.array([[True, False, True, False, True]])).tolist()
        [[True, True, True, True, False]]
    """
    positions = np.arange(is_special.shape[1])
    lengths = np.where(is_special, 0, positions + 1).max(axis=1, initial=1)
    return np.asarray(positions < lengths[:, None], dtype=np.bool_)
