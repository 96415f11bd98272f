"""The texts that are scored: the explanations given, the list of top tokens, and a random passage for each.

Source: METHODS, embedding score, baselines and null.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.errors import KindredError
from kindred.scoring.chunks import Chunks, entry_blocks
from kindred.scoring.nulls import random_passage
from kindred.scoring.passages import PassageReader
from kindred.scoring.selection import ContextSet
from kindred.scoring.top_tokens import top_tokens
from kindred.seeding import generator

TOP_TOKENS = "top_tokens"
COLUMNS = ["feature", "method", "rank", "text"]


def explanations_of(
    sets: list[ContextSet],
    texts: pd.DataFrame,
    index: FeatureIndex,
    chunks: Chunks,
    copies: NDArray[np.int64],
    reader: PassageReader,
) -> pd.DataFrame:
    """Return all explanations of the features: those given, and then the list of its top tokens.

    Args:
        sets: The features with their test contexts, in the order of the result.
        texts: Explanations of these and maybe other features: columns feature, method, rank, text.
        index: Activations of the SAE.
        chunks: The chunks of the corpus.
        copies: For each chunk, the first one that has the same tokens.
        reader: Reads the corpus.

    Raises:
        KindredError: If a feature has no explanation, or one twice.
    """
    doubled = texts.duplicated(["feature", "method", "rank"])
    if doubled.any():
        row = texts[doubled].iloc[0]
        raise KindredError(
            f"feature {row['feature']} has two explanations of method {row['method']!r} and rank {row['rank']}; "
            "make the explanations anew"
        )
    given = dict(iter(texts[COLUMNS].groupby("feature")))
    parts = []
    for contexts in sets:
        if contexts.feature not in given:
            raise KindredError(
                f"feature {contexts.feature} has no explanation; make the explanations anew from the chosen pairs"
            )
        listed = _top_tokens_outside(contexts, index, chunks, copies, reader)
        own = pd.DataFrame([(contexts.feature, TOP_TOKENS, 0, listed)], columns=COLUMNS)
        parts += [given[contexts.feature], own]
    if not parts:
        return texts[COLUMNS].iloc[:0]
    return pd.concat(parts, ignore_index=True)


def random_passages(
    explanations: pd.DataFrame,
    chunks: Chunks,
    reader: PassageReader,
    count_tokens: Callable[[str], int],
    seed: int,
) -> list[str]:
    """Return for each explanation a passage of the corpus of as many tokens, drawn by feature, method and rank."""
    runs = chunks.runs
    passages = []
    for feature, method, rank, text in explanations.itertuples(index=False):
        draws = generator(seed, "scoring", "random", int(feature), str(method), int(rank))
        run, offset, length = random_passage(runs, chunks.run_ends, max(count_tokens(text), 1), draws)
        passages.append(reader.passage(runs, run, offset, length))
    return passages


def _top_tokens_outside(
    contexts: ContextSet,
    index: FeatureIndex,
    chunks: Chunks,
    copies: NDArray[np.int64],
    reader: PassageReader,
) -> str:
    """List the top tokens of a feature from all but its test contexts and their copies."""
    token, value = index.of(contexts.feature)
    tokens = reader.contexts.tokens.ravel()
    tested = copies[contexts.positives.chunk]

    def occurrences() -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        for block in entry_blocks(len(token)):
            chunk = chunks.of_tokens(token[block])
            outside = (chunk < 0) | ~np.isin(copies[chunk], tested)
            yield tokens[token[block][outside]], value[block][outside]

    return top_tokens(occurrences(), reader.token)
