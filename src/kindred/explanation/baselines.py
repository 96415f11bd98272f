"""Cheaper explanations that a self-explanation has to beat: a steered continuation and the logit lens."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kindred.explanation.generation import Decoding, generate
from kindred.explanation.injection import injected
from kindred.explanation.row_cache import RowCache
from kindred.models.hooks import final_norm, unembedding
from kindred.models.loading import LoadedModel
from kindred.models.tokenizer import special_tokens
from kindred.models.vocabulary import ids_without_token
from kindred.models.words import distinct_words

CONTINUATION_PROMPT = "The"
# Of the mean residual norm: below it texts hardly change, and at 1 many are one word over and over.
CONTINUATION_SCALE = 0.5


def steered_continuations(
    loaded: LoadedModel,
    cache: RowCache,
    vectors: Tensor,
    boundary: int,
    decoding: Decoding,
    uniforms: NDArray[np.float64] | None,
) -> list[str]:
    """Continue BOS and a neutral word, with a vector added at every position, those generated included.

    Args:
        loaded: The model.
        cache: With room for these rows and their tokens; what it holds is lost.
        vectors: What is added, float32 [row, d_model].
        boundary: Where: 0 is the embedding's output, b the output of block b - 1.
        decoding: Length, temperature and ends.
        uniforms: As in ``generate``.

    Returns:
        What follows the neutral word, for each row.
    """
    model, tokenizer = loaded.model, loaded.tokenizer
    word = tokenizer(CONTINUATION_PROMPT, add_special_tokens=False)["input_ids"]
    prompt = torch.tensor([special_tokens(tokenizer).bos, *word], device=model.device)
    cache.begin(len(vectors))
    with torch.no_grad(), injected(model, boundary, vectors, None, replaces=False):
        output = model(
            prompt.expand(len(vectors), -1), past_key_values=cache, use_cache=True, logits_to_keep=1
        )
    return generate(
        model,
        tokenizer,
        cache,
        output.logits[:, -1].float(),
        decoding,
        uniforms=uniforms,
        steer=lambda rows: injected(model, boundary, vectors[rows], None, replaces=False),
    )


def logit_lens(loaded: LoadedModel, directions: Tensor) -> list[str]:
    """Return the tokens that each direction favours most, read through final norm and unembedding.

    The norm is applied to the direction and to its negative; half the difference is the direction times the
    norm's weight (for a LayerNorm centred first) without its bias, in whatever form the weight is stored.

    Args:
        loaded: The model.
        directions: Unit vectors, float32 [feature, d_model].

    Returns:
        The 10 best words of each feature, joined by a comma and a space (`distinct_words`). Special tokens, and ids
        for which the tokenizer has no token, are left out.
    """
    # At the norm of a typical residual, the norm's epsilon is negligible.
    typical = (directions * directions.shape[-1] ** 0.5).to(loaded.model.dtype)
    norm = final_norm(loaded.model)
    with torch.no_grad():
        read = (norm(typical) - norm(-typical)) / 2
        logits = (read @ unembedding(loaded.model).T).float()
    tokenizer = loaded.tokenizer
    left_out = special_tokens(tokenizer).ids.union(ids_without_token(tokenizer, logits.shape[1]))

    @cache
    def text_of(token: int) -> str:
        return str(tokenizer.decode([token], clean_up_tokenization_spaces=False))

    # A stable sort makes ties go to the lower id, which topk does not promise.
    best = logits.argsort(dim=-1, descending=True, stable=True).cpu().numpy()
    return [
        distinct_words((token for token in map(int, tokens) if token not in left_out), text_of)
        for tokens in best
    ]
