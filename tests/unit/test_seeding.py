import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.seeding import draw, priorities, seed_of

KEYS = st.integers(0, 2**63 - 1)
IDS = st.lists(st.integers(0, 2**40), unique=True, max_size=80).map(lambda ids: np.array(ids, dtype=np.int64))


def inverse(numbers, key):
    """Undo `priorities` with whole numbers of any size."""

    def unshift(number, bits):
        found = number
        for _ in range(64 // bits):
            found = number ^ (found >> bits)
        return found

    ids = []
    for number in numbers.tolist():
        state = unshift(number, 31) * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
        state = unshift(state, 27) * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
        state = (unshift(state, 30) - key) * pow(0x9E3779B97F4A7C15, -1, 2**64) % 2**64
        ids.append((state - 1) % 2**64)
    return ids


def test_priorities_are_the_published_stream():
    # First outputs of SplitMix64 for the seed 0, as other implementations give them.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert priorities(np.arange(3), 0).tolist() == published


@given(IDS, KEYS)
def test_priorities_can_be_undone_so_no_two_ids_share_one(ids, key):
    assert inverse(priorities(ids, key), key) == ids.tolist()


@given(IDS, KEYS, st.data())
def test_a_priority_does_not_hang_on_the_other_ids(ids, key, data):
    some = np.array(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))), dtype=bool)
    assert priorities(ids[some], key).tolist() == priorities(ids, key)[some].tolist()


@pytest.mark.parametrize("key", [0, 1, seed_of(0, "scoring", "positives", 17)])
def test_priorities_of_consecutive_ids_are_uniform_and_unrelated(key):
    numbers = priorities(np.arange(64_000), key)
    counts = np.bincount((numbers >> np.uint64(58)).astype(np.int64), minlength=64)
    assert ((counts - 1000) ** 2 / 1000).sum() < 110  # 63 degrees of freedom, p = 0.0002
    shares = numbers / 2**64
    assert abs(np.corrcoef(shares[1:], shares[:-1])[0, 1]) < 0.015


def test_one_bit_of_id_or_key_changes_half_of_the_bits():
    ids = np.arange(500)
    plain = priorities(ids, 0)
    for bit in range(40):
        for other in (priorities(ids ^ (1 << bit), 0), priorities(ids, 1 << bit)):
            assert abs(np.bitwise_count(plain ^ other).mean() - 32) < 1.5


@given(IDS, st.integers(0, 90), KEYS)
def test_a_draw_is_without_replacement_and_ascending(ids, size, key):
    drawn = draw(ids, size, key)
    assert len(drawn) == min(size, len(ids))
    assert set(drawn.tolist()) <= set(ids.tolist())
    assert (np.diff(drawn) > 0).all()


@given(IDS.filter(len), st.integers(0, 90), KEYS, st.integers(0, 79))
def test_a_candidate_more_or_less_changes_at_most_one(ids, size, key, place):
    gone = int(ids[place % len(ids)])
    before, after = (set(draw(each, size, key).tolist()) for each in (ids, ids[ids != gone]))
    assert before - after <= {gone}
    assert len(after - before) <= (gone in before)


@given(IDS, st.integers(0, 90), KEYS)
def test_a_draw_does_not_hang_on_the_order_of_the_candidates(ids, size, key):
    assert draw(ids[::-1], size, key).tolist() == draw(ids, size, key).tolist()


def test_every_candidate_is_as_likely():
    candidates = np.arange(30) * 3
    counts, pairs = np.zeros(90), np.zeros((90, 90))
    for seed in range(3000):
        drawn = draw(candidates, 10, seed_of(seed, "test"))
        counts[drawn] += 1
        pairs[np.ix_(drawn, drawn)] += 1
    assert counts[candidates].sum() == counts.sum() == 30_000
    assert np.abs(counts[candidates] - 1000).max() < 4 * 26  # binomial, sd 25.8
    together = pairs[np.ix_(candidates, candidates)][np.triu_indices(30, 1)]
    assert np.abs(together - 3000 * 90 / 870).max() < 4.5 * 17  # sd 16.7


def test_the_draws_of_two_keys_are_unrelated():
    first, second = (set(draw(np.arange(1000), 100, seed_of(seed, "test")).tolist()) for seed in (0, 1))
    assert len(first & second) < 25
