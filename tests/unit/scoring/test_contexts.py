import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.scoring.contexts import Firing, draw_positives


def firing_of(values, examples=()):
    values = np.array(values, dtype=np.float32)
    return Firing(np.arange(len(values)) * 2, values, np.array(examples, dtype=np.int64))


@given(
    st.lists(st.floats(0.125, 4, width=16), max_size=60),
    st.integers(1, 30),
    st.integers(1, 6),
    st.sets(st.integers(0, 130)),
)
def test_positives_come_in_equal_numbers_from_parts_of_rising_activation(
    values, n_activating, n_deciles, examples
):
    fires = firing_of(values, sorted(examples))
    drawn = draw_positives(fires, n_activating, n_deciles, np.random.default_rng(0))
    assert not set(drawn.chunk.tolist()) & examples
    assert len(set(drawn.chunk.tolist())) == len(drawn.chunk)
    value = dict(zip(fires.active.tolist(), fires.value.tolist(), strict=True))
    free = [chunk for chunk in value if chunk not in examples]
    counts = np.bincount(drawn.decile, minlength=n_deciles)
    assert counts.max(initial=0) <= -(-n_activating // n_deciles)
    if len(free) >= n_deciles * -(-n_activating // n_deciles):
        assert counts.sum() == n_activating
        assert np.ptp(counts) <= 1
    for decile in range(n_deciles - 1):
        here = [value[chunk] for chunk in drawn.chunk[drawn.decile == decile]]
        above = [value[chunk] for chunk in drawn.chunk[drawn.decile > decile]]
        if here and above:
            assert max(here) <= min(above)


def test_a_part_that_holds_too_few_gives_what_it_has():
    drawn = draw_positives(firing_of(range(1, 8)), 40, 4, np.random.default_rng(0))
    assert drawn.chunk.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert drawn.decile.tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_all_of_a_part_can_be_drawn():
    seen = set()
    for seed in range(60):
        seen |= set(draw_positives(firing_of(range(1, 21)), 4, 2, np.random.default_rng(seed)).chunk.tolist())
    assert seen == set(range(0, 40, 2))


@pytest.mark.parametrize(("chunk", "silent"), [(0, False), (1, True), (2, False), (3, False), (5, True)])
def test_silent_chunks_hold_neither_activations_nor_examples(chunk, silent):
    assert firing_of([1, 2], [3]).is_silent(np.array([chunk])).tolist() == [silent]
