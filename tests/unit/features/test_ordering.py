import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.errors import KindredError
from kindred.features.ordering import grouped_order


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=50))
def test_order_is_by_group_then_key_then_entry(entries: list[tuple[int, int]]) -> None:
    group = np.array([entry[0] for entry in entries], dtype=np.int64)
    key = np.array([entry[1] for entry in entries], dtype=np.uint64)
    expected = sorted(range(len(entries)), key=lambda entry: entries[entry])
    assert grouped_order(group, key, 5, 7).tolist() == expected


def test_keys_of_32_bits_keep_their_highest_bit() -> None:
    group = np.zeros(3, dtype=np.int64)
    key = np.array([0xFFFFFFFF, 0, 0x80000000], dtype=np.uint64)
    assert grouped_order(group, key, 1, 1 << 32).tolist() == [1, 2, 0]


def test_what_exceeds_64_bits_is_refused() -> None:
    group = np.zeros(8, dtype=np.int64)
    with pytest.raises(KindredError, match="cannot be ordered at once"):
        grouped_order(group, group.astype(np.uint64), 1 << 30, 1 << 32)
