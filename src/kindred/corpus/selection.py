"""Which documents an experiment reads: a seeded choice of the corpus up to a number of tokens."""

from collections.abc import Callable, Sequence

from kindred.corpus.document import Document
from kindred.corpus.packing import document_hash

CHUNK = 1024


def tokenize_up_to(
    documents: Sequence[Document],
    encode: Callable[[Sequence[str]], list[list[int]]],
    n_tokens: int,
    seed: int,
) -> tuple[list[int], list[list[int]]]:
    """Tokenize documents in a seeded order until `n_tokens` are reached; the rest is never tokenized.

    The order hangs on each document's own hash, so the choice depends neither on the corpus's order nor on which
    other documents it has; the document that would exceed the number ends the choice (the first one is cut).

    Returns:
        Indices of the chosen documents, ascending, and the token ids of each.
    """
    order = sorted(range(len(documents)), key=lambda index: document_hash(documents[index], seed))
    chosen: dict[int, list[int]] = {}
    total = 0
    for start in range(0, len(order), CHUNK):
        indices = order[start : start + CHUNK]
        for index, ids in zip(indices, encode([documents[i].text for i in indices]), strict=True):
            if total + len(ids) > n_tokens:
                if not chosen:
                    chosen[index] = ids[:n_tokens]
                return _ascending(chosen)
            chosen[index] = ids
            total += len(ids)
    return _ascending(chosen)


def _ascending(chosen: dict[int, list[int]]) -> tuple[list[int], list[list[int]]]:
    indices = sorted(chosen)
    return indices, [chosen[index] for index in indices]
