"""The text of each token such that the texts joined are the passage exactly as the tokenizer decodes it.

Tokens cannot be decoded one by one: SentencePiece decoders strip the space of a first token, and a byte-level or
byte-fallback token may hold part of a character. So the end of each token's text is where the decoded tokens up to it
stop to agree with the decoded whole. Source: docs/methods.md, section 3.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from kindred.characters import mend_surrogates

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REPLACEMENT = "\ufffd"  # what bytes that are no character decode to


class PassageDecoder:
    """Texts of the tokens of passages, by one tokenizer.

    A token that holds whole characters adds the same text wherever it stands but at the start, which is remembered;
    the others are decoded a few at a time. Whether the texts make up the decoded passage is checked each time, and if
    they do not, the passage is decoded prefix by prefix, which is exact for any tokenizer.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._inner: dict[int, str] = {}

    def __call__(self, tokens: Sequence[int], start: int = 0, stop: int | None = None) -> list[str]:
        """Return the text of each of the tokens start to stop of a passage.

        A token that ends within a character gets none of it, and the token that completes it gets it whole. Bytes
        that never make a character are U+FFFD, as the tokenizer decodes them. Joined, the texts of all tokens are
        the tokenizer's text of the passage; of some, the part of it that these tokens complete.

        Args:
            tokens: Ids of the whole passage, such as a run of a context.
            start: First token wanted.
            stop: One past the last token wanted; the end of the passage if None.
        """
        passage = [int(token) for token in tokens]
        whole = self.text(passage)
        texts = self._by_pieces(passage)
        if "".join(texts) != whole:
            texts = self.by_prefixes(passage)
        return texts[start:stop]

    def text(self, tokens: list[int]) -> str:
        """Decode a whole passage, special tokens and all spaces kept."""
        # One list of integers gives one string; batch_decode would take it for one sequence, too.
        text = self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return mend_surrogates(str(text))

    def by_prefixes(self, passage: list[int]) -> list[str]:
        """Split a text where the text of each prefix of the tokens stops to agree with it.

        A prefix that ends within a character decodes to U+FFFD there, the whole to the character, so the two agree
        up to that character only. Takes time quadratic in the length.
        """
        whole = self.text(passage)
        reached = 0
        bounds = [0]
        for n_tokens in range(1, len(passage) + 1):
            reached = max(reached, _agreement(self.text(passage[:n_tokens]), whole))
            bounds.append(reached)
        return [whole[first:last] for first, last in pairwise(bounds)]

    def _by_pieces(self, passage: list[int]) -> list[str]:
        """Decode tokens of whole characters singly, and others together with those that complete the character."""
        texts: list[str] = []
        before: list[
            int
        ] = []  # the piece before, without which a piece would be decoded as the start of a text
        piece: list[int] = []
        for position, token in enumerate(passage):
            if position and not piece and REPLACEMENT not in self._inner_text(token):
                texts.append(self._inner_text(token))
                before = [token]
                continue
            piece.append(token)
            if not self.text(before + piece).endswith(REPLACEMENT):
                texts += self.by_prefixes(before + piece)[len(before) :]
                before, piece = piece, []
        return texts + self.by_prefixes(before + piece)[len(before) :]

    def _inner_text(self, token: int) -> str:
        """Return what a token adds to a text when it is not the first; with U+FFFD if it splits a character."""
        if token not in self._inner:
            self._inner[token] = self.text([token, token])[len(self.text([token])) :]
        return self._inner[token]


def token_texts(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int]) -> list[str]:
    """Return the text of each token of a passage; joined, they are the passage as it is decoded."""
    return PassageDecoder(tokenizer)(tokens)


def _agreement(prefix: str, whole: str) -> int:
    """Return how many characters two texts share from the start."""
    if whole.startswith(prefix):
        return len(prefix)
    pairs = zip(prefix, whole, strict=False)
    return next((n for n, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(prefix), len(whole)))
