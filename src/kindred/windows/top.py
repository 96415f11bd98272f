"""The top activated windows of the chosen features of one SAE, with their text.

Source: docs/methods.md, section 3.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.windows import CRITERIA, ActExample, FeatureWindows, Windows
from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.windows.runs import Runs, find_runs
from kindred.windows.scores import Firing, firing
from kindred.windows.scores import Windows as ScoredWindows
from kindred.windows.selection import best_windows

Decode = Callable[[Sequence[int], int, int], list[str]]


def top_windows(
    index: FeatureIndex,
    features: Sequence[int],
    contexts: PackedContexts,
    *,
    length: int,
    n_top: int,
    decode: Decode,
) -> Windows:
    """Find the windows that activate each feature most, by mean, density and maximum.

    Args:
        index: Activations of the SAE over the corpus.
        features: Features to look at; order and repetitions do not matter.
        contexts: The corpus.
        length: Tokens of a window.
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
    runs = find_runs(contexts)
    tokens = contexts.tokens.ravel()
    by_feature = {}
    tables = []
    for feature in sorted(set(features)):
        fires = firing(*index.of(feature), runs)
        examples = {}
        for criterion in CRITERIA:
            windows = best_windows(fires, runs, criterion, length=length, n_top=n_top)
            examples[criterion] = _examples(windows, fires, runs, tokens, decode)
            tables.append(_positions(windows, feature, criterion, index.context_length))
        by_feature[feature] = FeatureWindows(**examples)
    return Windows(by_feature, pd.concat(tables, ignore_index=True) if tables else _no_positions())


def _examples(
    windows: ScoredWindows, fires: Firing, runs: Runs, tokens: NDArray[np.int32], decode: Decode
) -> list[ActExample]:
    """Return the tokens, texts and activations of windows."""
    examples = []
    for row in range(len(windows)):
        run, start, length = int(windows.run[row]), int(windows.start[row]), int(windows.length[row])
        run_start = int(runs.start[run])
        passage = tokens[run_start : run_start + int(runs.length[run])].tolist()
        entries = slice(windows.first[row], windows.stop[row])
        acts = np.zeros(length, dtype=np.float32)
        acts[fires.token[entries] - start] = fires.value[entries]
        offset = start - run_start
        examples.append(
            ActExample(
                tokens=passage[offset : offset + length],
                texts=decode(passage, offset, offset + length),
                acts=acts.tolist(),
            )
        )
    return examples


def _positions(windows: ScoredWindows, feature: int, criterion: str, context_length: int) -> pd.DataFrame:
    """Return one row per window."""
    return pd.DataFrame(
        {
            "feature": np.full(len(windows), feature, dtype=np.int64),
            "criterion": pd.Series([criterion] * len(windows), dtype="str"),
            "rank": np.arange(len(windows), dtype=np.int64),
            "context": windows.start // context_length,
            "start": windows.start % context_length,
            "length": windows.length,
            "mean": windows.mean,
            "density": windows.density,
            "max": windows.max,
        }
    )


def _no_positions() -> pd.DataFrame:
    """Return the table of no windows, of the same columns and types."""
    nothing = np.zeros(0, dtype=np.int64)
    scores = np.zeros(0)
    return _positions(
        ScoredWindows(nothing, nothing, nothing, nothing, nothing, scores, scores, scores), 0, "", 1
    )
