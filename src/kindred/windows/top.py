"""The top activated windows of the chosen features of one SAE, with their text.

Source: docs/methods.md, section 3.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.windows import CRITERIA, ActExample, FeatureWindows, Windows
from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.windows.runs import Runs, find_runs
from kindred.windows.selection import BestWindows, best_windows, fires_in_short_run, refuse_outside

Decode = Callable[[Sequence[int], int, int], list[str]]


def top_windows(
    index: FeatureIndex,
    features: Sequence[int],
    contexts: PackedContexts,
    *,
    length: int,
    min_length: int,
    n_top: int,
    decode: Decode,
) -> Windows:
    """Find the windows that activate each feature most, by mean, density and maximum.

    Features that have fewer windows than asked for because they fire in stretches that are too short for one are named
    in a warning.

    Args:
        index: Activations of the SAE over the corpus.
        features: Features to look at; order and repetitions do not matter.
        contexts: The corpus.
        length: Tokens of a window.
        min_length: Tokens that a window has at least, where a document or context has no more than these.
        n_top: Windows for each criterion.
        decode: Gives the texts of tokens start to stop of a passage, such as
            `kindred.windows.text.PassageDecoder`; called with the whole run a window lies in, so that a
            window begins with the space it was written with.

    Raises:
        KindredError: If the index belongs to another corpus, or there is no such feature.
    """
    if (index.n_contexts, index.context_length) != contexts.tokens.shape:
        raise KindredError(
            f"the feature index is of {index.n_contexts} contexts of {index.context_length} tokens, the corpus of "
            f"{contexts.tokens.shape[0]} of {contexts.tokens.shape[1]}; make the features anew from this corpus"
        )
    chosen = sorted(set(features))
    runs = find_runs(contexts)
    best = best_windows(index, chosen, runs, length=length, min_length=min_length, n_top=n_top)
    refuse_outside(index, chosen, runs)
    _warn_of_fewer(chosen, best, index, runs, min_length)
    tokens = contexts.tokens.ravel()
    by_feature = {}
    for row, feature in enumerate(chosen):
        examples = {
            criterion: [
                _example(best, (row, column, rank), index, tokens, decode)
                for rank in range(best.count[row, column])
            ]
            for column, criterion in enumerate(CRITERIA)
        }
        by_feature[feature] = FeatureWindows(**examples)
    return Windows(by_feature, _positions(best, np.array(chosen, dtype=np.int64), index.context_length))


def _warn_of_fewer(
    features: list[int], best: BestWindows, index: FeatureIndex, runs: Runs, min_length: int
) -> None:
    fewer = [
        feature
        for feature, count in zip(features, best.count, strict=True)
        if count.min() < best.start.shape[2] and fires_in_short_run(index, feature, runs, min_length)
    ]
    if fewer:
        logging.warning(
            "%d of %d features have fewer windows than windows.n_top because they fire in stretches of fewer than "
            "windows.min_length = %d tokens: %s",
            len(fewer),
            len(features),
            min_length,
            ", ".join(map(str, fewer)),
        )


def _example(
    best: BestWindows,
    window: tuple[int, int, int],
    index: FeatureIndex,
    tokens: NDArray[np.int32],
    decode: Decode,
) -> ActExample:
    """Return the tokens, texts and activations of a window."""
    start, length, run_start = int(best.start[window]), int(best.length[window]), int(best.run_start[window])
    passage = tokens[run_start : int(best.run_stop[window])].tolist()
    entries = slice(int(best.first[window]), int(best.stop[window]))
    acts = np.zeros(length, dtype=np.float32)
    acts[index.token[entries].astype(np.int64) - start] = index.value[entries]
    offset = start - run_start
    return ActExample(
        tokens=passage[offset : offset + length],
        texts=decode(passage, offset, offset + length),
        acts=acts.tolist(),
    )


def _positions(best: BestWindows, features: NDArray[np.int64], context_length: int) -> pd.DataFrame:
    """Return one row per window."""
    n_top = best.start.shape[2]
    row, criterion, rank = np.nonzero(np.arange(n_top) < best.count[..., np.newaxis])
    found = (row, criterion, rank)
    return pd.DataFrame(
        {
            "feature": features[row],
            "criterion": pd.Series([CRITERIA[column] for column in criterion], dtype="str"),
            "rank": rank.astype(np.int64),
            "context": best.start[found] // context_length,
            "start": best.start[found] % context_length,
            "length": best.length[found],
            "mean": best.mean[found],
            "density": best.density[found],
            "max": best.max[found],
        }
    )
