"""Which documents an experiment reads: a seeded choice of the corpus up to a number of tokens.

The documents are gone through in the order they lie in, several times rather than all in memory: once for their
hashes, and then for as many as the number of tokens is likely to need, until it is reached. What is held is some 40
bytes for each document of the corpus; token ids go to a file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.document import Document
from kindred.corpus.packing import document_hash

# Texts that are tokenized in one call: a tokenizer holds some 150 bytes for each token of them.
BATCH_DOCUMENTS = 1024
BATCH_CHARACTERS = 1 << 20
# The first documents say how many characters make a token; a little more than needed saves a further pass.
FIRST_DOCUMENTS = 1024
_MARGIN = 1.02

Encode = Callable[[Sequence[str]], list[list[int]]]


class Documents(Protocol):
    """Documents that can be gone through more than once, such as a list or a DocumentTable."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Document]: ...


@dataclass(frozen=True, eq=False)
class TokenizedDocuments(Sequence[NDArray[np.int32]]):
    """The token ids of the chosen documents, in a file; item i is those of document ``places[i]`` of the corpus.

    Attributes:
        places: Places in the corpus, ascending, int64 [document].
        start: Where each one's ids begin, int64 [document].
        length: How many they are, int64 [document].
        ids: Ids of all documents that were tokenized, int32, memory-mapped.
    """

    places: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    ids: NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> NDArray[np.int32]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[NDArray[np.int32]]: ...
    def __getitem__(self, place: int | slice) -> NDArray[np.int32] | Sequence[NDArray[np.int32]]:
        """Return the ids of one document or of several."""
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        start = int(self.start[place])
        return self.ids[start : start + int(self.length[place])]


def tokenize_up_to(
    documents: Documents, encode: Encode, n_tokens: int, seed: int, spill: BinaryIO
) -> TokenizedDocuments:
    """Tokenize documents in a seeded order until `n_tokens` are reached; hardly any more are tokenized.

    The order hangs on each document's own hash, so the choice depends neither on the corpus's order nor on which
    other documents it has; the document that would exceed the number ends the choice (the first one is cut).

    Args:
        documents: The corpus; gone through several times.
        encode: Gives the token ids of texts.
        n_tokens: At most so many are chosen.
        seed: Of the order.
        spill: An empty file for the token ids; it must stay open while the result is in use.
    """
    order, n_characters = _seeded_order(documents, seed)
    start = np.zeros(len(order), dtype=np.int64)
    length = np.zeros(len(order), dtype=np.int64)
    done, wanted, total = 0, min(FIRST_DOCUMENTS, len(order)), 0
    while True:
        _tokenize(documents, np.sort(order[done:wanted]), encode, start, length, spill)
        done, total = wanted, int(length[order[:wanted]].sum())
        if total > n_tokens or done == len(order):
            break
        read = int(n_characters[order[:done]].sum())
        missing = (n_tokens - total) * (read / max(total, 1)) * _MARGIN
        ahead = np.cumsum(n_characters[order[done:]], dtype=np.int64)
        wanted = min(done + max(int(np.searchsorted(ahead, missing)) + 1, FIRST_DOCUMENTS), len(order))
    n_chosen = int(np.searchsorted(np.cumsum(length[order[:done]]), n_tokens, side="right"))
    if n_chosen == 0:
        n_chosen = 1
        length[order[0]] = min(int(length[order[0]]), n_tokens)
    places = np.sort(order[:n_chosen])
    return TokenizedDocuments(places, start[places], length[places], _mapped(spill))


def _seeded_order(documents: Documents, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the places of documents by their hashes, and the characters of each document."""
    hashes = np.zeros(len(documents), dtype=np.uint64)
    n_characters = np.zeros(len(documents), dtype=np.int32)
    for place, document in enumerate(documents):
        hashes[place] = document_hash(document, seed)
        n_characters[place] = len(document.text)
    return np.argsort(hashes, kind="stable"), n_characters


def _tokenize(
    documents: Documents,
    wanted: NDArray[np.int64],
    encode: Encode,
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    spill: BinaryIO,
) -> None:
    """Append the ids of the wanted documents (ascending) to the file, and note where they begin and how many."""
    end = spill.seek(0, 2) // 4
    for places, texts in _batches(documents, wanted):
        for place, ids in zip(places, encode(texts), strict=True):
            spill.write(np.asarray(ids, dtype=np.int32).tobytes())
            start[place], length[place] = end, len(ids)
            end += len(ids)


def _batches(documents: Documents, wanted: NDArray[np.int64]) -> Iterator[tuple[list[int], list[str]]]:
    """Yield places and texts of the wanted documents, a bounded number of characters at a time."""
    places: list[int] = []
    texts: list[str] = []
    n_characters = 0
    is_wanted = np.zeros(len(documents), dtype=np.bool_)
    is_wanted[wanted] = True
    for place, document in enumerate(documents):
        if not is_wanted[place]:
            continue
        places.append(place)
        texts.append(document.text)
        n_characters += len(document.text)
        if len(places) == BATCH_DOCUMENTS or n_characters >= BATCH_CHARACTERS:
            yield places, texts
            places, texts, n_characters = [], [], 0
    if places:
        yield places, texts


def _mapped(spill: BinaryIO) -> NDArray[np.int32]:
    """Return the ids in a file."""
    spill.flush()
    if not spill.seek(0, 2):
        return np.zeros(0, dtype=np.int32)
    return np.memmap(spill, dtype=np.int32, mode="r")
