"""The two sizes of a vocabulary: tokens of the tokenizer, and rows of the model's embedding.

Models are often given more rows than there are tokens, to round the number up; a tokenizer may also leave out ids
within its range. Such a row is trained on nothing, and what it says is noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kindred.errors import KindredError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def ids_without_token(tokenizer: PreTrainedTokenizerBase, n_rows: int) -> list[int]:
    """Return the ids below ``n_rows`` that are no token of the tokenizer, ascending."""
    return sorted(set(range(n_rows)).difference(tokenizer.get_vocab().values()))


def refuse_larger_tokenizer(tokenizer: PreTrainedTokenizerBase, n_rows: int, described: str) -> None:
    """Refuse a tokenizer that gives ids for which the model has no row.

    A special token that no text is encoded to may lie beyond the rows: the image token of Gemma-3's text models does.

    Args:
        tokenizer: The tokenizer.
        n_rows: Rows of the model's embedding.
        described: The model, for the message.

    Raises:
        KindredError: If a token that can come up has no row; the message says both sizes.
    """
    beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= n_rows}
    used = {getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad", "unk")}
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    first = min(
        ((number, token) for token, number in beyond.items() if number in used or number not in special),
        default=None,
    )
    if first is not None:
        raise KindredError(
            f"{described}: the tokenizer has {len(tokenizer)} tokens, the model's embedding {n_rows} rows, so token "
            f"{first[1]!r} (id {first[0]}) has none: resize the model's embedding, or save the tokenizer that the "
            "model was trained with beside it"
        )


def hide_ids(model: PreTrainedModel, ids: list[int]) -> None:
    """Let every forward pass give these ids a logit of minus infinity, so that they have no probability anywhere."""
    if not ids:
        return

    def hide(_model: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
        # In place, after the model's own soft cap on the logits, which would make infinity finite.
        output.logits[..., columns] = float("-inf")

    columns: Any = slice(ids[0], ids[-1] + 1) if ids[-1] - ids[0] + 1 == len(ids) else ids
    model.register_forward_hook(hide)
