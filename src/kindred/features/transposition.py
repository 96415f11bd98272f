"""The loops that order activations by feature, compiled: a radix sort in two passes over a block.

First the entries of a block are dealt into buckets of features next to each other, each entry packed into 64 bits
(row of the block, feature within the bucket, the bits of the value); few enough buckets that each is written where the
last entry went. Then the entries of a bucket go to their features' places: few enough features, again. Either pass
keeps the order of rows. Indices are unsigned, for then no index is taken to count from an array's end.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.compiled import compiled

VALUE_BITS = 32


@compiled
def count(feature: NDArray[np.unsignedinteger], counts: NDArray[np.int64]) -> int:
    """Add to each feature's count its entries; return the first entry of a feature that there is not, or -1."""
    for entry in range(len(feature)):
        if feature[entry] >= len(counts):
            return entry
        counts[feature[entry]] += 1
    return -1


@compiled
def deal(
    row_bounds: NDArray[np.int64],
    feature: NDArray[np.unsignedinteger],
    value_bits: NDArray[np.uint32],
    is_special: NDArray[np.bool_],
    bucket_bits: int,
    bucket: NDArray[np.uint64],
    packed: NDArray[np.uint64],
) -> int:
    """Deal a block's entries into buckets.

    Args:
        row_bounds: First entry of each row, counted from any number, and one past the last, [row + 1].
        feature: Of each entry, [entry].
        value_bits: Its value's bits, [entry].
        is_special: Whether a row may hold nothing, [row].
        bucket_bits: A bucket has 2 to this power features.
        bucket: Receives the end of each bucket within ``packed``, [bucket + 1].
        packed: Receives the entries, [entry or more].

    Returns:
        The first row that holds something though it may not, or -1.
    """
    one, shift = np.uint64(1), np.uint64(bucket_bits)
    row_shift, value_shift = np.uint64(bucket_bits + VALUE_BITS), np.uint64(VALUE_BITS)
    in_bucket = (one << shift) - one
    bucket[:] = 0
    for of_entry in feature:
        bucket[(np.uint64(of_entry) >> shift) + one] += one
    for earlier in range(len(bucket) - 1):
        bucket[earlier + 1] += bucket[earlier]
    entry = np.uint64(0)
    for row in range(len(row_bounds) - 1):
        end = np.uint64(row_bounds[row + 1] - row_bounds[0])
        if entry < end and is_special[row]:
            return row
        row_bits = np.uint64(row) << row_shift
        while entry < end:
            number = np.uint64(feature[entry])
            to = bucket[number >> shift]
            bucket[number >> shift] = to + one
            packed[to] = row_bits | ((number & in_bucket) << value_shift) | np.uint64(value_bits[entry])
            entry += one
    return -1


@compiled
def place(
    first_token: int,
    bucket_bits: int,
    bucket: NDArray[np.uint64],
    packed: NDArray[np.uint64],
    cursor: NDArray[np.uint64],
    token: NDArray[Any],
    value_bits: NDArray[np.uint32],
) -> None:
    """Write dealt entries where their features' next ones belong, and move the features' cursors on.

    Args:
        first_token: Flat index of the block's first row.
        bucket_bits: As they were dealt.
        bucket: End of each bucket, [bucket + 1].
        packed: The dealt entries.
        cursor: Where each feature's next entry belongs, [feature].
        token: Receives the flat token indices.
        value_bits: Receives the bits of the values.
    """
    one, first = np.uint64(1), np.uint64(first_token)
    row_shift, value_shift = np.uint64(bucket_bits + VALUE_BITS), np.uint64(VALUE_BITS)
    in_bucket = (one << np.uint64(bucket_bits)) - one
    entry = np.uint64(0)
    for number in range(len(bucket) - 1):
        first_feature = np.uint64(number << bucket_bits)
        while entry < bucket[number]:
            bits = packed[entry]
            feature = first_feature + ((bits >> value_shift) & in_bucket)
            to = cursor[feature]
            cursor[feature] = to + one
            token[to] = first + (bits >> row_shift)
            value_bits[to] = np.uint32(bits)
            entry += one
