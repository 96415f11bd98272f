"""Documents to contexts of one fixed length, losing no token and cutting no document that fits.

Best-fit packing after Ding et al., 'Fewer Truncations Improve Language Modeling' (2024).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.document import Document
from kindred.errors import KindredError

NO_DOCUMENT = -1
_BLOCK_TOKENS = 1 << 20  # looked at together
NewArray = Callable[[str, tuple[int, ...], np.dtype[Any]], NDArray[Any]]


@dataclass(frozen=True)
class PackedContexts:
    """Token contexts with what each position belongs to; all arrays are [context, position].

    Attributes:
        tokens: Token ids, int32; BOS stands at position 0 of each context.
        is_special: True wherever a special token stands (BOS, EOS, padding, and any that a text was encoded to), which
            no statistic may count.
        document: Index of the document of each token, int32; -1 at special positions.
    """

    tokens: NDArray[np.int32]
    is_special: NDArray[np.bool_]
    document: NDArray[np.int32]

    @property
    def n_contexts(self) -> int:
        """Number of contexts."""
        return int(self.tokens.shape[0])

    @property
    def n_document_tokens(self) -> int:
        """Number of tokens that belong to a document."""
        return self.is_special.size - int(np.count_nonzero(self.is_special))


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the special tokens (0 is a valid id).

    Attributes:
        bos: Begins a context.
        eos: Closes a document.
        pad: Fills a context.
        others: Every further id that the tokenizer calls special. None of them is placed here, but a text may have
            been encoded to one.
    """

    bos: int
    eos: int
    pad: int
    others: frozenset[int] = frozenset()

    @property
    def ids(self) -> frozenset[int]:
        """All special ids."""
        return self.others | {self.bos, self.eos, self.pad}

    def among(self, tokens: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return where special ids stand, in the shape of the ids."""
        return np.isin(tokens, np.array(sorted(self.ids), dtype=tokens.dtype))


def in_memory(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Make an array of zeros in memory, whatever its name."""
    return np.zeros(shape, dtype=dtype)


@dataclass(frozen=True)
class _Pieces:
    """Runs of one document's tokens that go into one context whole, in the order of the corpus; arrays are [piece].

    Attributes:
        document: Which document, int32.
        length: Its tokens and its EOS, if it has one, int32.
        has_eos: Whether EOS closes it, bool.
    """

    document: NDArray[np.int32]
    length: NDArray[np.int32]
    has_eos: NDArray[np.bool_]


def pack_documents(
    token_ids: Sequence[Sequence[int] | NDArray[np.int32]],
    context_length: int,
    special: SpecialTokens,
    *,
    pack: bool = False,
    new_array: NewArray = in_memory,
) -> PackedContexts:
    """Pack tokenized documents into contexts that begin with BOS; what remains of a context is padding.

    A document longer than a context is split over several. Without ``pack`` a context holds one document; with
    it, documents are closed by EOS and share contexts wherever they fit whole. A special id within a document keeps its
    position and is marked as special there. The documents are asked for one by one;
    besides them and the arrays that are made, some 30 bytes are held for each context (for each piece with ``pack``).

    Args:
        token_ids: Token ids of each document, without special tokens.
        context_length: Positions per context, BOS included.
        special: Ids of BOS, EOS and padding.
        pack: Whether documents may share a context.
        new_array: Makes the arrays to fill, by the name of the attribute, the shape and the type.

    Raises:
        KindredError: If the context length leaves no room, or if there is no token to pack but special ones.
    """
    if context_length < 2:
        raise KindredError(
            f"corpus.context_length is {context_length}; it must be at least 2 (BOS and one token)"
        )
    capacity = context_length - 1
    lengths = np.fromiter((len(ids) for ids in token_ids), dtype=np.int64, count=len(token_ids))
    pieces = _split(lengths, capacity, close=pack)
    if not len(pieces.length):
        raise KindredError(
            "the corpus is empty: it holds no token to pack; check the corpus section of the params"
        )
    rows = _best_fit(pieces.length, capacity) if pack else np.arange(len(pieces.length))
    shape = (int(rows.max()) + 1, context_length)
    tokens = new_array("tokens", shape, np.dtype(np.int32))
    is_special = new_array("is_special", shape, np.dtype(np.bool_))
    document = new_array("document", shape, np.dtype(np.int32))
    tokens[:] = special.pad
    is_special[:] = True
    document[:] = NO_DOCUMENT
    tokens[:, 0] = special.bos
    contexts = PackedContexts(tokens, is_special, document)
    _fill(contexts, token_ids, pieces, rows, special.eos)
    _mark_special(contexts, special)
    return contexts


def _fill(
    contexts: PackedContexts,
    token_ids: Sequence[Sequence[int] | NDArray[np.int32]],
    pieces: _Pieces,
    rows: NDArray[np.int64],
    eos: int,
) -> None:
    """Write each piece into its row, behind those that are there."""
    begin = np.ones(contexts.n_contexts, dtype=np.int32)  # behind BOS
    last, start = -1, 0
    ids: Sequence[int] | NDArray[np.int32] = []
    for piece, row in enumerate(rows.tolist()):
        index = int(pieces.document[piece])
        if index != last:
            last, start, ids = index, 0, token_ids[index]
        has_eos = bool(pieces.has_eos[piece])
        stop = start + int(pieces.length[piece]) - has_eos
        first = int(begin[row])
        end = first + stop - start
        contexts.tokens[row, first:end] = ids[start:stop]
        contexts.is_special[row, first:end] = False
        contexts.document[row, first:end] = index
        if has_eos:
            contexts.tokens[row, end] = eos
        begin[row] = end + has_eos
        start = stop


def _mark_special(contexts: PackedContexts, special: SpecialTokens) -> None:
    """Mark every position that holds a special id, however it came there, some contexts at a time.

    Raises:
        KindredError: If no position is left.
    """
    step = max(_BLOCK_TOKENS // contexts.tokens.shape[1], 1)
    some = False
    for first in range(0, contexts.n_contexts, step):
        rows = slice(first, first + step)
        found = special.among(contexts.tokens[rows])
        contexts.is_special[rows] |= found
        contexts.document[rows][found] = NO_DOCUMENT
        some = some or not contexts.is_special[rows].all()
    if not some:
        raise KindredError(
            "the corpus holds nothing but special tokens of the model's tokenizer, which no statistic counts; "
            "check the corpus section of the params, and that model.source names the tokenizer that the text is for"
        )


def document_hash(document: Document, seed: int) -> int:
    """Return a 64-bit hash of a document's source and text under a seed, for splits that hang on no order."""
    key = seed.to_bytes(max(8, seed.bit_length() // 8 + 1), "little", signed=True)
    content = f"{document.source}\0{document.text}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=key).digest(), "little")


def _split(lengths: NDArray[np.int64], capacity: int, *, close: bool) -> _Pieces:
    """Split documents into pieces of at most ``capacity`` tokens; EOS closes a document if it still fits."""
    n_pieces = -(-lengths // capacity)
    document = np.repeat(np.arange(len(lengths), dtype=np.int32), n_pieces)
    length = np.full(len(document), capacity, dtype=np.int32)
    rest = lengths[lengths > 0] - (n_pieces[lengths > 0] - 1) * capacity
    last = np.cumsum(n_pieces[lengths > 0]) - 1
    length[last] = rest
    has_eos = np.zeros(len(document), dtype=np.bool_)
    if close:
        has_eos[last] = rest < capacity
    return _Pieces(document, length + has_eos, has_eos)


def _best_fit(length: NDArray[np.int32], capacity: int) -> NDArray[np.int64]:
    """Give each piece, longest first, to the fullest context it fits in; return the row of each piece.

    Rows are in the order of the corpus: by their first piece.
    """
    from kindred.corpus.best_fit import place_pieces  # noqa: PLC0415  (numba takes a second to import)

    longest_first = np.argsort(-length, kind="stable")
    context = place_pieces(length, longest_first, capacity)
    first = np.full(int(context.max()) + 1, len(length), dtype=np.int64)
    np.minimum.at(first, context, np.arange(len(length)))
    row = np.empty(len(first), dtype=np.int64)
    row[np.argsort(first)] = np.arange(len(first))
    return row[context]
