"""A stable order within groups, by one sort of packed 64-bit keys (much faster than a stable argsort)."""

import numpy as np
from numpy.typing import NDArray

from kindred.errors import KindredError


def grouped_order(
    group: NDArray[np.int64], key: NDArray[np.uint64], n_groups: int, n_keys: int
) -> NDArray[np.int64]:
    """Return the order of entries by group, then key, then entry.

    Group, key and entry number are packed into one integer, so all are different and any sort is stable.
    Groups are below ``n_groups``, keys below ``n_keys``.

    >>> grouped_order(np.array([0, 0, 1]), np.array([5, 2, 0], dtype=np.uint64), 2, 6)
    array([1, 0, 2])

    Raises:
        KindredError: If the three do not fit into 64 bits.
    """
    entry_bits = _bits(len(group))
    key_bits = _bits(n_keys)
    if entry_bits + key_bits + _bits(n_groups) > 64:
        raise KindredError(
            f"{len(group)} activations of {n_groups} features cannot be ordered at once; "
            "take fewer in one chunk or a smaller corpus"
        )
    packed = group.astype(np.uint64) << np.uint64(key_bits + entry_bits)
    packed |= key << np.uint64(entry_bits)
    packed |= np.arange(len(group), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64((1 << entry_bits) - 1)).astype(np.int64)


def _bits(n_values: int) -> int:
    """Return the bits that numbers below ``n_values`` need."""
    return max(n_values - 1, 0).bit_length()
