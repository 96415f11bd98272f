"""Which pairs of a matching are looked at: the best, the worst, and mismatched ones as a control.

Source: docs/methods.md, section 2; the control says what two features that do not mean the same look like.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Selection:
    """Pairs chosen for one group, in order of rank.

    Attributes:
        left: Left features, [n_chosen].
        right: Right features, [n_chosen].
        passed_over: How many pairs that fire too seldom were met before the last one was chosen; if fewer
            pairs than asked for were found, how many were met in all.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    passed_over: int


def select_extremes(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    similarity: NDArray[np.float32],
    *,
    eligible: NDArray[np.bool_],
    n_best: int,
    n_worst: int,
) -> tuple[Selection, Selection]:
    """Choose the most and the least similar of the matched pairs; ties go to the lower left index.

    Where too few pairs are eligible the best are chosen first, and no pair is in both groups.

    Args:
        left: Left features of the matched pairs, ascending, [n].
        right: Their partners, [n].
        similarity: Similarity of each pair, [n].
        eligible: Whether both features of a pair fire often enough, [n].
        n_best: Pairs to choose of the highest similarity.
        n_worst: Pairs to choose of the lowest.
    """
    descending = np.argsort(-similarity, kind="stable")
    ascending = np.argsort(similarity, kind="stable")
    best, best_passed = _walk(descending, eligible, n_best)
    ascending = ascending[~np.isin(ascending, best)]
    worst, worst_passed = _walk(ascending, eligible, n_worst)
    return (
        Selection(left[best], right[best], best_passed),
        Selection(left[worst], right[worst], worst_passed),
    )


def select_control(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    *,
    left_eligible: NDArray[np.bool_],
    right_eligible: NDArray[np.bool_],
    n: int,
    generator: np.random.Generator,
) -> Selection:
    """Draw pairs of features that are not each other's partner, no feature twice.

    Both sides are shuffled and dealt out pair by pair. A drawn pair with a feature that fires too seldom is
    passed over: that feature is laid aside and the next of its side drawn. A right feature that is the
    partner of the left one waits for the next left one.

    Args:
        left: Left features of the matched pairs, [n_pairs].
        right: Their partners, [n_pairs].
        left_eligible: Whether a left feature fires often enough, [n_left].
        right_eligible: The same of the right features, [n_right].
        n: Pairs to draw.
        generator: Source of the shuffles.
    """
    partner = dict(zip(left.tolist(), right.tolist(), strict=True))
    lefts = generator.permutation(len(left_eligible)).tolist()[::-1]
    rights = generator.permutation(len(right_eligible)).tolist()[::-1]
    pairs: list[tuple[int, int]] = []
    passed_over = 0
    while lefts and rights and len(pairs) < n:
        if not left_eligible[lefts[-1]]:
            lefts.pop()
            passed_over += 1
        elif not right_eligible[rights[-1]]:
            rights.pop()
            passed_over += 1
        elif partner.get(lefts[-1]) != rights[-1]:
            pairs.append((lefts.pop(), rights.pop()))
        elif len(rights) > 1:
            rights[-1], rights[-2] = rights[-2], rights[-1]
        else:
            lefts.pop()
    chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Selection(chosen[:, 0], chosen[:, 1], passed_over)


def _walk(order: NDArray[np.int64], eligible: NDArray[np.bool_], n: int) -> tuple[NDArray[np.int64], int]:
    """Take the first ``n`` eligible pairs in an order, and count the others met on the way."""
    taken = np.flatnonzero(eligible[order])[:n]
    met = len(order) if len(taken) < n else int(taken[-1]) + 1 if n else 0
    return order[taken], met - len(taken)
