"""Best-fit decreasing bin packing: a loop over the pieces, each taken from or put on one of a few stacks of contexts.

Source: Ding et al., 'Fewer Truncations Improve Language Modeling' (2024), section 3.
"""

import numpy as np
from numpy.typing import NDArray

from kindred.compiled import compiled


@compiled
def place_pieces(length: NDArray[np.int32], order: NDArray[np.int64], capacity: int) -> NDArray[np.int32]:
    """Give each piece to the fullest context that has room for it, or to a new one.

    Contexts of equal room lie on one stack; the last one put there is taken first.

    Args:
        length: Of each piece, 1 to ``capacity``.
        order: In which the pieces are given.
        capacity: Of a context.

    Returns:
        The context of each piece, numbered as they were begun, int32 [piece].
    """
    context = np.empty(len(length), dtype=np.int32)
    top = np.full(capacity + 1, -1, dtype=np.int32)  # by room left
    below = np.empty(len(length), dtype=np.int32)
    n_contexts = 0
    for piece in order:
        room = length[piece]
        while room <= capacity and top[room] < 0:
            room += 1
        if room > capacity:
            room = capacity
            chosen = n_contexts
            n_contexts += 1
        else:
            chosen = top[room]
            top[room] = below[chosen]
        context[piece] = chosen
        left = room - length[piece]
        if left:
            below[chosen] = top[left]
            top[left] = chosen
    return context
