import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.scoring.contexts import Firing, draw_positives


def firing_of(values, examples=()):
    values = np.array(values, dtype=np.float32)
    return Firing(np.arange(len(values)) * 2, values, np.array(examples, dtype=np.int64), np.arange(1000))


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
    drawn = draw_positives(fires, n_activating, n_deciles, 0)
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
    drawn = draw_positives(firing_of(range(1, 8)), 40, 4, 0)
    assert drawn.chunk.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert drawn.decile.tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_all_of_a_part_can_be_drawn():
    seen = set()
    for seed in range(60):
        seen |= set(draw_positives(firing_of(range(1, 21)), 4, 2, seed).chunk.tolist())
    assert seen == set(range(0, 40, 2))


def test_the_key_decides_what_is_drawn():
    fires = firing_of(range(1, 201))
    first, again, other = (draw_positives(fires, 20, 4, key).chunk.tolist() for key in (0, 0, 1))
    assert first == again != other


@given(
    st.sets(st.integers(0, 10**6), min_size=2, max_size=80),
    st.integers(0, 79),
    st.integers(1, 6),
    st.integers(0, 9),
)
def test_a_chunk_more_or_less_moves_one_chunk_over_each_edge(chunks, gone, n_deciles, key):
    active = np.array(sorted(chunks))
    value = ((active * 7919) % 1013).astype(np.float32)  # an order other than that of places, with ties
    keep = np.arange(len(active)) != gone % len(active)
    nothing = np.zeros(0, dtype=np.int64)
    whole, less = (
        draw_positives(Firing(active[kept], value[kept], nothing, np.arange(10**6 + 1)), 12, n_deciles, key)
        for kept in (np.ones(len(active), dtype=bool), keep)
    )
    for decile in range(n_deciles):
        before, after = (set(drawn.chunk[drawn.decile == decile].tolist()) for drawn in (whole, less))
        n_edges = (decile > 0) + (decile < n_deciles - 1)
        assert len(before - after) <= 1 + n_edges
        assert len(after - before) <= 1 + n_edges


def test_one_part_changes_by_one_chunk():
    fires = firing_of(np.arange(1, 501))
    drawn = draw_positives(fires, 50, 1, 3).chunk
    for gone in drawn.tolist():
        kept = fires.active != gone
        less = draw_positives(
            Firing(fires.active[kept], fires.value[kept], fires.examples, fires.texts), 50, 1, 3
        ).chunk
        assert set(drawn.tolist()) - set(less.tolist()) == {gone}
        assert len(set(less.tolist()) - set(drawn.tolist())) == 1


def test_a_chunk_that_begins_to_fire_weakly_leaves_most_of_the_draw():
    rng = np.random.default_rng(0)
    value = rng.gamma(1.0, 1.0, 4000).astype(np.float32)
    nothing = np.zeros(0, dtype=np.int64)
    fires = Firing(np.arange(1, 4001), value, nothing, np.arange(4001))
    more = Firing(np.arange(4001), np.append(np.float32(1e-6), value), nothing, np.arange(4001))
    for key in range(40):
        before, after = (set(draw_positives(each, 100, 10, key).chunk.tolist()) for each in (fires, more))
        assert len(before - after) <= 2


def test_an_exchange_of_near_equals_within_a_part_changes_nothing():
    value = np.arange(1, 101, dtype=np.float32)
    swapped = value.copy()
    swapped[[12, 13, 71, 72]] = value[[13, 12, 72, 71]]
    for key in range(20):
        one, other = (
            draw_positives(firing_of(values), 40, 10, key).chunk.tolist() for values in (value, swapped)
        )
        assert one == other


@pytest.mark.parametrize(("chunk", "silent"), [(0, False), (1, True), (2, False), (3, False), (5, True)])
def test_silent_chunks_hold_neither_activations_nor_examples(chunk, silent):
    assert firing_of([1, 2], [3]).is_silent(np.array([chunk])).tolist() == [silent]
