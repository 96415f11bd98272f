"""The one-to-one assignment of maximal total similarity, with ties given to the lower index.

Source: Kuhn 1955 (Hungarian method), solved by scipy.optimize.linear_sum_assignment (Crouse 2016).
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kindred.matching.similarity import cosine_blocks


def mean_cosines(
    left: list[NDArray[np.float64]], right: list[NDArray[np.float64]], *, sign: float = 1.0
) -> NDArray[np.float64]:
    """Return the dense mean cosine over several kinds of directions, [n_left, n_right].

    Args:
        left: Unit rows of each kind (decoder, encoder), [n_left, d_model].
        right: Unit rows of the same kinds, [n_right, d_model].
        sign: Factor; -1 gives costs without a second dense matrix.
    """
    dense = np.zeros((len(left[0]), len(right[0])))
    for left_rows, right_rows in zip(left, right, strict=True):
        for rows, cosines in cosine_blocks(left_rows, right_rows):
            dense[rows] += cosines * (sign / len(left))
    return dense


def assign(
    left: list[NDArray[np.float64]], right: list[NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match left with right features one to one, so that the sum of their similarities is as large as can be.

    The smaller side is matched whole. The result is a function of the directions alone: SciPy's solver draws
    nothing at random. Features with bit-identical directions, the ties that occur in practice, cannot be told
    apart by any total; among them the lowest indices are matched, and each left feature in ascending order
    gets the lowest right feature that keeps the total. Between other assignments of equal total SciPy's
    solver decides, the same way on every run.

    Args:
        left: Unit rows of each kind of direction that counts, [n_left, d_model].
        right: Unit rows of the same kinds, [n_right, d_model].

    Returns:
        Left indices, ascending, and the right index of each; int64 [min(n_left, n_right)].
    """
    # The smaller side as rows: SciPy copies the whole matrix otherwise.
    if len(left[0]) <= len(right[0]):
        chosen_left, chosen_right = linear_sum_assignment(mean_cosines(left, right, sign=-1.0))
    else:
        chosen_right, chosen_left = linear_sum_assignment(mean_cosines(right, left, sign=-1.0))
    return lowest_indices(
        chosen_left.astype(np.int64), chosen_right.astype(np.int64), _classes(left), _classes(right)
    )


def lowest_indices(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    left_class: NDArray[np.int64],
    right_class: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rearrange a matching among interchangeable features to its lexicographically smallest form.

    Features of one class are interchangeable; how many pairs join two classes is left as it is.

    Args:
        left: Matched left features, [n].
        right: Their partners, [n].
        left_class: Class of each left feature, [n_left].
        right_class: Class of each right feature, [n_right].

    Returns:
        Left indices, ascending, and the right index of each.
    """
    partners: dict[int, list[int]] = defaultdict(
        list
    )  # of a left class: the classes of its pairs' right features
    for class_left, class_right in zip(left_class[left], right_class[right], strict=True):
        partners[int(class_left)].append(int(class_right))
    free: dict[int, list[int]] = defaultdict(list)  # right features of a class, lowest last
    for feature in range(len(right_class) - 1, -1, -1):
        free[int(right_class[feature])].append(feature)
    pairs = []
    for feature, of_class in enumerate(left_class):
        classes = partners[int(of_class)]
        if classes:
            best = min(classes, key=lambda class_right: free[class_right][-1])
            classes.remove(best)
            pairs.append((feature, free[best].pop()))
    matched = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return matched[:, 0], matched[:, 1]


def _classes(directions: list[NDArray[np.float64]]) -> NDArray[np.int64]:
    """Number the features so that those with bit-identical directions share a number."""
    seen: dict[bytes, int] = {}
    keys = (b"".join(kind[feature].tobytes() for kind in directions) for feature in range(len(directions[0])))
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)
