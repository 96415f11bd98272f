"""Scores of explanations from vectors alone: AUROC with interval, gap to the weakest contexts, and nulls.

Source: METHODS, embedding score.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.scoring import COLUMNS
from kindred.params import ScoringParams
from kindred.scoring.auroc import auroc, auroc_interval
from kindred.scoring.nulls import derangements, permuted_null
from kindred.seeding import generator

# Equal texts must tie whatever order a product is summed in; float32 cosines are good to about 1e-7.
_DECIMALS = 6
_NULL = ["null_permuted", "null_permuted_low", "null_permuted_high"]


@dataclass(frozen=True, eq=False)
class Tested:
    """One feature's test contexts and top windows as vectors.

    Attributes:
        n_positive: How many contexts are positives; they come first.
        n_weakest: How many of them are of the weakest decile; they come first of all.
        contexts: Unit vectors, float32 [context, dimension].
        windows: Unit vectors, float32 [window, dimension].
    """

    n_positive: int
    n_weakest: int
    contexts: NDArray[np.float32]
    windows: NDArray[np.float32]

    @property
    def n_negative(self) -> int:
        """How many contexts are negatives."""
        return len(self.contexts) - self.n_positive

    def cosines(self, queries: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the cosines of queries with the positives and with the negatives."""
        cosines = (queries @ self.contexts.T).round(_DECIMALS)
        return cosines[:, : self.n_positive], cosines[:, self.n_positive :]

    def auroc(self, queries: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the AUROC of each query, [query, dimension]."""
        return auroc(*self.cosines(queries))


def score_rows(
    rows: pd.DataFrame,
    features: NDArray[np.int64],
    tested: list[Tested],
    queries: NDArray[np.float32],
    randoms: NDArray[np.float32],
    params: ScoringParams,
    seed: int,
) -> pd.DataFrame:
    """Return the table of scores, one row per explanation, as the artefact `scoring` holds it.

    Args:
        rows: The explanations: feature, method, rank.
        features: The features, ascending.
        tested: What each feature is tested on, in the order of the features.
        queries: Vector of each explanation, nan for an empty one, [explanation, dimension].
        randoms: Vector of a random passage for each explanation, [explanation, dimension].
        params: Confidence and number of permutations.
        seed: Of the experiment.
    """
    place_of_row = np.searchsorted(features, rows["feature"].to_numpy())
    usable = np.flatnonzero(~np.isnan(queries[:, 0]))
    everywhere = np.full((len(rows), len(features)), np.nan)  # AUROC of each explanation on all features
    own = np.full((len(rows), 4), np.nan)
    for place, contexts in enumerate(tested):
        everywhere[usable, place] = contexts.auroc(queries[usable])
        mine = usable[place_of_row[usable] == place]
        interval = auroc_interval(*contexts.cosines(queries[mine]), params.confidence)
        random = contexts.auroc(randoms[mine])
        own[mine] = np.column_stack([interval.low, interval.high, _gap(queries[mine], contexts), random])
    n_contexts = np.array([[item.n_positive, item.n_negative] for item in tested], dtype=np.int64)
    table = rows[["feature", "method", "rank"]].copy()
    table["auroc"] = everywhere[np.arange(len(rows)), place_of_row]
    table[["auroc_low", "auroc_high", "embedding_gap", "null_random"]] = own
    table[_NULL] = _null(rows, features, everywhere, usable, params, seed)
    table[["n_positive", "n_negative"]] = n_contexts.reshape(-1, 2)[place_of_row]
    return table[list(COLUMNS["table"])]


def _null(
    rows: pd.DataFrame,
    features: NDArray[np.int64],
    everywhere: NDArray[np.float64],
    usable: NDArray[np.int64],
    params: ScoringParams,
    seed: int,
) -> NDArray[np.float64]:
    """Return mean and range of the permuted null, nan for a single feature and for empty explanations."""
    null = np.full((len(rows), 3), np.nan)
    if len(features) > 1:
        draws = generator(seed, "scoring", "permuted")
        orders = derangements(len(features), params.n_permutations, draws)
        null[usable] = permuted_null(rows, features, everywhere, orders, params.confidence)[usable]
    return null


def _gap(queries: NDArray[np.float32], contexts: Tested) -> NDArray[np.float64]:
    """Return the mean cosine to the top windows minus that to the positives of the weakest decile."""
    if not contexts.n_weakest or not len(contexts.windows):
        return np.full(len(queries), np.nan)
    top = contexts.windows.mean(axis=0, dtype=np.float64)
    least = contexts.contexts[: contexts.n_weakest].mean(axis=0, dtype=np.float64)
    return np.asarray(queries.astype(np.float64) @ (top - least))
