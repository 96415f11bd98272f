"""Documents to contexts of one fixed length, losing no token and cutting no document that fits.

Best-fit packing after Ding et al., 'Fewer Truncations Improve Language Modeling' (2024).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.document import Document
from kindred.errors import KindredError

NO_DOCUMENT = -1


@dataclass(frozen=True)
class PackedContexts:
    """Token contexts with what each position belongs to; all arrays are [context, position].

    Attributes:
        tokens: Token ids, int32; BOS stands at position 0 of each context.
        is_special: True at BOS, EOS and padding, which no statistic may count.
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
        return int(np.count_nonzero(~self.is_special))


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the special tokens (0 is a valid id)."""

    bos: int
    eos: int
    pad: int


@dataclass(frozen=True)
class _Piece:
    """A run of one document's tokens that goes into one context whole."""

    document: int
    start: int
    stop: int
    has_eos: bool

    @property
    def length(self) -> int:
        return self.stop - self.start + self.has_eos


def pack_documents(
    token_ids: Sequence[Sequence[int]], context_length: int, special: SpecialTokens, *, pack: bool = False
) -> PackedContexts:
    """Pack tokenized documents into contexts that begin with BOS; what remains of a context is padding.

    A document longer than a context is split over several. Without ``pack`` a context holds one document; with
    it, documents are closed by EOS and share contexts wherever they fit whole.

    Args:
        token_ids: Token ids of each document, without special tokens.
        context_length: Positions per context, BOS included.
        special: Ids of BOS, EOS and padding.
        pack: Whether documents may share a context.

    Raises:
        KindredError: If the context length leaves no room, or if there is no token to pack.
    """
    if context_length < 2:
        raise KindredError(
            f"corpus.context_length is {context_length}; it must be at least 2 (BOS and one token)"
        )
    pieces = _split(token_ids, context_length - 1, close=pack)
    if not pieces:
        raise KindredError(
            "the corpus is empty: it holds no token to pack; check the corpus section of the params"
        )
    contexts = _best_fit(pieces, context_length - 1) if pack else [[piece] for piece in pieces]
    shape = (len(contexts), context_length)
    tokens = np.full(shape, special.pad, dtype=np.int32)
    is_special = np.ones(shape, dtype=np.bool_)
    document = np.full(shape, NO_DOCUMENT, dtype=np.int32)
    tokens[:, 0] = special.bos
    for row, members in enumerate(contexts):
        position = 1
        for piece in members:
            end = position + piece.stop - piece.start
            tokens[row, position:end] = token_ids[piece.document][piece.start : piece.stop]
            is_special[row, position:end] = False
            document[row, position:end] = piece.document
            if piece.has_eos:
                tokens[row, end] = special.eos
            position = end + piece.has_eos
    return PackedContexts(tokens, is_special, document)


def document_hash(document: Document, seed: int) -> int:
    """Return a 64-bit hash of a document's source and text under a seed, for splits that hang on no order."""
    key = seed.to_bytes(8, "little", signed=True)
    content = f"{document.source}\0{document.text}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=key).digest(), "little")


def _split(token_ids: Sequence[Sequence[int]], capacity: int, *, close: bool) -> list[_Piece]:
    """Split documents into pieces of at most ``capacity`` tokens; EOS closes a document if it still fits."""
    pieces = []
    for index, tokens in enumerate(token_ids):
        for start in range(0, len(tokens), capacity):
            stop = min(start + capacity, len(tokens))
            has_eos = close and stop == len(tokens) and stop - start < capacity
            pieces.append(_Piece(index, start, stop, has_eos))
    return pieces


def _best_fit(pieces: Sequence[_Piece], capacity: int) -> list[list[_Piece]]:
    """Give each piece, longest first, to the fullest context it fits in; then restore the corpus's order.

    Contexts are kept by the room they have left, and a bit mask says which amounts of room exist, so that the
    smallest sufficient one is the lowest bit set above the piece's length.
    """
    by_room: list[list[list[_Piece]]] = [[] for _ in range(capacity + 1)]
    contexts: list[list[_Piece]] = []
    rooms = 0
    for piece in sorted(pieces, key=lambda item: -item.length):
        fitting = rooms >> piece.length
        if fitting:
            room = piece.length + (fitting & -fitting).bit_length() - 1
            context = by_room[room].pop()
            if not by_room[room]:
                rooms &= ~(1 << room)
        else:
            room = capacity
            context = []
            contexts.append(context)
        context.append(piece)
        left = room - piece.length
        if left:
            by_room[left].append(context)
            rooms |= 1 << left
    ordered = [sorted(context, key=lambda piece: (piece.document, piece.start)) for context in contexts]
    return sorted(ordered, key=lambda context: (context[0].document, context[0].start))
