"""The embedding score of every explanation of one SAE's features, with its nulls.

Source: METHODS, embedding score; Paulo et al. 2024 (2410.13928), section 3.3.4 and appendix A.4.4.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.scoring import Scores, Truncation
from kindred.artefacts.windows import CRITERIA, Windows
from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.params import ScoringParams
from kindred.scoring.chunks import Chunks, cut_chunks
from kindred.scoring.copies import TokenHashes, chunks_that_share, first_copies
from kindred.scoring.embedding import EmbeddingMemory, Progress, TextEmbedder
from kindred.scoring.evaluation import Tested, score_rows
from kindred.scoring.explanations import explanations_of, random_passages
from kindred.scoring.passages import Decode, PassageReader
from kindred.scoring.selection import ContextSet, select_contexts


def score(
    features: Sequence[int],
    texts: pd.DataFrame,
    index: FeatureIndex,
    contexts: PackedContexts,
    windows: Windows,
    *,
    decode: Decode,
    count_tokens: Callable[[str], int],
    embedder: TextEmbedder,
    decoder_rows: NDArray[np.float32],
    params: ScoringParams,
    seed: int,
    progress: Progress | None = None,
) -> Scores:
    """Score explanations by how well they retrieve the contexts in which their feature fires.

    Args:
        features: Features of one SAE; order and repetitions do not matter.
        texts: Their explanations: columns feature, method, rank, text.
        index: Activations of the SAE over the corpus.
        contexts: The corpus.
        windows: Top windows of the features; neither their tokens nor their text are in a test context.
        decode: Gives the texts of tokens start to stop of a passage.
        count_tokens: Gives the number of tokens of a text, for random passages of equal length.
        embedder: Gives texts their vectors.
        decoder_rows: Decoder of the SAE, float32 [d_sae, d_model].
        params: The section ``scoring``.
        seed: Of the experiment.
        progress: Told how many texts of how many are embedded.

    Raises:
        KindredError: If the inputs do not belong together.
    """
    chosen = np.unique(np.asarray(list(features), dtype=np.int64))
    _check(chosen, index, contexts, windows)
    reader, remembered = PassageReader(contexts, decode), EmbeddingMemory(embedder)
    chunks = cut_chunks(contexts, params.context_length)
    hashes = TokenHashes(contexts.tokens.ravel())
    copies = first_copies(chunks, hashes)
    sets = select_contexts(
        chosen,
        chunks,
        index,
        windows.positions,
        copies,
        chunks_that_share(chunks, hashes, windows.positions, index.context_length),
        decoder_rows,
        lambda wanted: remembered(reader.chunks(chunks, wanted)),
        params,
        seed,
    )
    rows = explanations_of(sets, texts, index, chunks, copies, reader)
    queries = _queries(rows["text"], params.query_template)
    randoms = _queries(random_passages(rows, chunks, reader, count_tokens, seed), params.query_template)
    table = _context_table(sets, chunks, reader)
    shown = [_window_texts(windows, feature) for feature in chosen.tolist()]
    remembered([*table["text"], *queries, *randoms, *(text for own in shown for text in own)], progress)
    context_vectors, query_vectors = remembered(list(table["text"])), remembered(queries)
    query_vectors[(rows["text"].str.strip() == "").to_numpy()] = np.nan  # says nothing, so has no score
    tested = _tested(sets, table, context_vectors, [remembered(own) for own in shown])
    results = score_rows(rows, chosen, tested, query_vectors, remembered(randoms), params, seed)
    said = rows["text"].str.strip() != ""
    truncation = Truncation(
        limit=embedder.limit,
        contexts=embedder.n_cut(list(table["text"])),
        windows=embedder.n_cut([text for own in shown for text in own]),
        explanations=embedder.n_cut([query for query, is_said in zip(queries, said, strict=True) if is_said]),
        passages=embedder.n_cut(randoms),
    )
    return Scores(results, table, context_vectors, rows, query_vectors, truncation)


def _queries(texts: Iterable[str], template: str) -> list[str]:
    """Put each text into the template of the query, a format string with the one field ``explanation``."""
    return [template.format(explanation=text) for text in texts]


def _tested(
    sets: list[ContextSet],
    table: pd.DataFrame,
    vectors: NDArray[np.float32],
    windows: list[NDArray[np.float32]],
) -> list[Tested]:
    """Cut the table of contexts up by feature."""
    tested = []
    start = 0
    for contexts, shown in zip(sets, windows, strict=True):
        stop = start + len(contexts.chunks)
        n_weakest = int((table["decile"].to_numpy()[start:stop] == 0).sum())
        tested.append(Tested(len(contexts.positives.chunk), n_weakest, vectors[start:stop], shown))
        start = stop
    return tested


def _context_table(sets: list[ContextSet], chunks: Chunks, reader: PassageReader) -> pd.DataFrame:
    """Return one row per test context: by feature, positives first, by decile."""
    n_positions = reader.contexts.tokens.shape[1]
    nothing = np.zeros(0, dtype=np.int64)
    chunk = np.concatenate([nothing, *(own.chunks for own in sets)])
    deciles = [np.append(own.positives.decile, np.full(len(own.negatives), -1)) for own in sets]
    decile = np.concatenate([nothing, *deciles])
    features = [np.full(len(own.chunks), own.feature) for own in sets]
    lie = chunks.at(chunk)
    return pd.DataFrame(
        {
            "feature": np.concatenate([nothing, *features]),
            "kind": pd.Series(np.where(decile >= 0, "positive", "negative"), dtype="str"),
            "decile": decile,
            "context": lie.start // n_positions,
            "start": lie.start % n_positions,
            "length": lie.length,
            "text": pd.Series(reader.chunks(chunks, chunk), dtype="str"),
        }
    )


def _window_texts(windows: Windows, feature: int) -> list[str]:
    """Return the texts of a feature's top windows by all criteria."""
    own = windows.by_feature[feature]
    return ["".join(example.texts) for criterion in CRITERIA for example in getattr(own, criterion)]


def _check(
    features: NDArray[np.int64], index: FeatureIndex, contexts: PackedContexts, windows: Windows
) -> None:
    """Refuse inputs of different corpora or features."""
    if (index.n_contexts, index.context_length) != contexts.tokens.shape:
        raise KindredError(
            f"the feature index is of {index.n_contexts} contexts of {index.context_length} tokens, the corpus of "
            f"{contexts.tokens.shape[0]} of {contexts.tokens.shape[1]}; make the features anew from this corpus"
        )
    missing = sorted(set(features.tolist()) - set(windows.by_feature))
    if missing:
        raise KindredError(f"there are no top windows of feature {missing[0]}; make the windows anew")
