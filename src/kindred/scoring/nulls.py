"""What scores without meaning look like: explanations of other features, and random passages of the corpus.

Source: METHODS, embedding score: a score without its null is not reported.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.windows.runs import Runs

_PLACES = 256  # drawn at a time for a passage; more than one, for a passage that fits in few places


def derangements(n: int, n_permutations: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw permutations that leave nothing in its place, uniformly, int64 [permutation, n].

    Uniform because permutations with a fixed point are drawn again; about 1 in e has none.

    Raises:
        ValueError: If n is 1, for which there is none.
    """
    if n == 1:
        raise ValueError("a single element has no derangement")
    own_place = np.arange(n)
    found: list[NDArray[np.int64]] = []
    while len(found) < n_permutations:
        order = generator.permutation(n)
        if (order != own_place).all():
            found.append(order)
    return np.array(found, dtype=np.int64).reshape(n_permutations, n)


def permuted_null(
    rows: pd.DataFrame,
    features: NDArray[np.int64],
    scores: NDArray[np.float64],
    orders: NDArray[np.int64],
    confidence: float,
) -> NDArray[np.float64]:
    """Score each feature's contexts with the explanations of others, of the same method and rank.

    All methods and ranks see the same permutations, so their nulls are of the same contexts. An explanation
    that cannot be scored (an empty one) is left out of the nulls it would stand in.

    Args:
        rows: One row per explanation: feature, method, rank.
        features: The features, in the order that permutations speak of.
        scores: AUROC of every explanation on every feature's contexts, [explanation, feature].
        orders: Permutations of the features, [permutation, feature].
        confidence: Share of the permutations that the range holds.

    Returns:
        Mean and range (low, high) over the permutations, nan where there is none, [explanation, 3].
    """
    null = np.full((len(rows), 3), np.nan)
    place = pd.Series(np.arange(len(features)), index=features)
    tail = (1 - confidence) / 2
    for _, group in rows.groupby(["method", "rank"], sort=False):
        row_of = np.full(len(features), -1)
        own = place.loc[group["feature"]].to_numpy()
        row_of[own] = group.index.to_numpy()
        donors = row_of[orders[:, own]]  # [permutation, explanation]
        drawn = np.where(donors >= 0, scores[donors, own], np.nan)
        known = ~np.isnan(drawn).all(axis=0)
        values = drawn[:, known]
        null[row_of[own[known]]] = np.column_stack(
            [np.nanmean(values, axis=0), *np.nanquantile(values, [tail, 1 - tail], axis=0)]
        )
    return null


def random_passage(
    runs: Runs, ends: NDArray[np.int64], n_tokens: int, generator: np.random.Generator
) -> tuple[int, int, int]:
    """Draw a passage of a given length, each place of the corpus where it fits being equally likely.

    Places are drawn from the whole corpus until the passage fits, so that one that is a token longer or shorter
    mostly begins at the same place.

    Args:
        runs: The runs of the corpus.
        ends: Their tokens up to the end of each, int64 [run].
        n_tokens: Of the passage.
        generator: Source of the draw.

    Returns:
        The run it lies in, its first token within that run, and its length, which is that of the longest run
        if no run holds so many tokens.
    """
    length = min(n_tokens, int(runs.length.max()))
    while True:
        place = generator.integers(ends[-1], size=_PLACES)
        run = np.searchsorted(ends, place, side="right")
        offset = place - (ends[run] - runs.length[run])
        fits = np.flatnonzero(offset + length <= runs.length[run])
        if len(fits):
            return int(run[fits[0]]), int(offset[fits[0]]), length
