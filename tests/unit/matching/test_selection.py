import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kindred.matching.selection import select_control, select_extremes


def extremes(similarity, eligible, n_best, n_worst):
    index = np.arange(len(similarity))
    return select_extremes(
        index,
        index + 100,
        np.array(similarity, dtype=np.float32),
        eligible=np.array(eligible, dtype=bool),
        n_best=n_best,
        n_worst=n_worst,
    )


def test_best_and_worst_pass_over_pairs_that_fire_too_seldom():
    best, worst = extremes([0.9, 0.1, 0.8, 0.2, 0.5, 0.4], [0, 0, 1, 1, 1, 1], 2, 1)
    assert best.left.tolist() == [2, 4]
    assert best.right.tolist() == [102, 104]
    assert best.passed_over == 1
    assert worst.left.tolist() == [3]
    assert worst.passed_over == 1


def test_ties_go_to_the_lower_index_in_both_groups():
    best, worst = extremes([0.5] * 6, [1] * 6, 2, 2)
    assert best.left.tolist() == [0, 1]
    assert worst.left.tolist() == [2, 3]


def test_with_few_eligible_pairs_the_best_come_first_and_no_pair_is_in_both():
    best, worst = extremes([0.3, 0.2, 0.1, 0.0], [1, 1, 1, 0], 2, 2)
    assert best.left.tolist() == [0, 1]
    assert (best.passed_over, worst.passed_over) == (0, 1)
    assert worst.left.tolist() == [2]


def test_a_group_may_be_empty():
    best, worst = extremes([0.3, 0.2], [0, 0], 0, 1)
    assert (len(best.left), best.passed_over) == (0, 0)
    assert (len(worst.left), worst.passed_over) == (0, 2)


@given(st.data(), st.integers(1, 8), st.integers(1, 8), st.integers(0, 8), st.integers(0, 99))
def test_control_pairs_are_mismatched_eligible_distinct_and_repeatable(data, n_left, n_right, n, seed):
    n_pairs = min(n_left, n_right)
    left = np.sort(data.draw(st.permutations(range(n_left)))[:n_pairs])
    right = np.array(data.draw(st.permutations(range(n_right)))[:n_pairs])
    left_eligible = np.array(data.draw(st.lists(st.booleans(), min_size=n_left, max_size=n_left)))
    right_eligible = np.array(data.draw(st.lists(st.booleans(), min_size=n_right, max_size=n_right)))

    def draw():
        return select_control(
            left,
            right,
            left_eligible=left_eligible,
            right_eligible=right_eligible,
            n=n,
            generator=np.random.default_rng(seed),
        )

    chosen = draw()
    assert len(set(chosen.left.tolist())) == len(set(chosen.right.tolist())) == len(chosen.left) <= n
    partner = dict(zip(left.tolist(), right.tolist(), strict=True))
    assert all(partner.get(i) != j for i, j in zip(chosen.left.tolist(), chosen.right.tolist(), strict=True))
    assert left_eligible[chosen.left].all()
    assert right_eligible[chosen.right].all()
    # At most one pair is lost, to partners left over for each other.
    assert len(chosen.left) >= min(n, left_eligible.sum() - 1, right_eligible.sum() - 1)
    again = draw()
    assert again.left.tolist() == chosen.left.tolist()
    assert again.right.tolist() == chosen.right.tolist()


def test_control_counts_the_drawn_pairs_it_passed_over():
    chosen = select_control(
        np.arange(4),
        np.arange(4),
        left_eligible=np.array([True, False, False, False]),
        right_eligible=np.zeros(4, dtype=bool),
        n=2,
        generator=np.random.default_rng(3),
    )
    assert len(chosen.left) == 0
    assert 4 <= chosen.passed_over <= 7
