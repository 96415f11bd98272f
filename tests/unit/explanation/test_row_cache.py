"""The allocated cache against the one of transformers that grows: every model call gives the same bits."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from kindred.explanation.row_cache import RowCache, cache_bytes

WIDE = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
WINDOWS = {"query_pre_attn_scalar": 8, **WIDE, **HEADS}
MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "full attention": lambda: LlamaForCausalLM(LlamaConfig(**WIDE, **HEADS)),
    "GPT-2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=3, n_head=2)),
    "window within the prefix": lambda: Gemma2ForCausalLM(Gemma2Config(**WINDOWS, sliding_window=3)),
    "window of two": lambda: Gemma2ForCausalLM(Gemma2Config(**WINDOWS, sliding_window=2)),
    "window over the prefix": lambda: Gemma2ForCausalLM(Gemma2Config(**WINDOWS, sliding_window=7)),
    "window over all": lambda: Gemma2ForCausalLM(Gemma2Config(**WINDOWS, sliding_window=64)),
    "convolutions between": lambda: Lfm2ForCausalLM(
        Lfm2Config(
            **WIDE,
            num_attention_heads=4,
            num_key_value_heads=2,
            layer_types=["conv", "full_attention", "conv"],
        )
    ),
}
N_TOKENS = 14


@pytest.fixture(params=MODELS, scope="module")
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    return MODELS[request.param]().eval().requires_grad_(False)


def tokens(n_rows: int, n_tokens: int, seed: int) -> Tensor:
    return torch.randint(3, 50, (n_rows, n_tokens), generator=torch.Generator().manual_seed(seed))


def said(model: PreTrainedModel, cache: DynamicCache, prompt: Tensor, kept: list[int], n_new: int) -> Tensor:
    """Logits of a prompt, of three more tokens, and of the rest for the rows kept after these."""
    logits = [model(prompt, past_key_values=cache, use_cache=True).logits[:, -1]]
    for step in range(n_new):
        if step == 3:
            cache.reorder_cache(torch.tensor(kept))
            logits[-1] = logits[-1][kept]
        chosen = logits[-1].argmax(-1)[:, None]
        logits.append(model(chosen, past_key_values=cache, use_cache=True).logits[:, -1])
    return torch.cat(logits)


def test_batches_one_after_another_get_the_numbers_of_a_cache_that_grows(model: PreTrainedModel) -> None:
    cache = RowCache(model.config, 5, N_TOKENS)
    prefix = DynamicCache(config=model.config)
    model(tokens(1, 4, 0), past_key_values=prefix, use_cache=True)
    for seed, (n_rows, kept, n_new) in enumerate([(5, [0, 2, 3], 6), (2, [1], 7), (4, [3, 0], 4)]):
        prompt = tokens(n_rows, 3, seed)
        cache.begin(n_rows, prefix)
        grown = DynamicCache(config=model.config)
        model(tokens(1, 4, 0).expand(n_rows, -1), past_key_values=grown, use_cache=True)
        expected = said(model, grown, prompt, kept, n_new)
        torch.testing.assert_close(said(model, cache, prompt, kept, n_new), expected, rtol=0, atol=2e-6)


def test_without_a_prefix_the_numbers_are_the_same_bits(model: PreTrainedModel) -> None:
    cache = RowCache(model.config, 5, N_TOKENS)
    for n_rows in (5, 3):
        cache.begin(n_rows)
        prompt = tokens(n_rows, 7, n_rows)
        grown = said(model, DynamicCache(config=model.config), prompt, [1, 2], 6)
        assert torch.equal(said(model, cache, prompt, [1, 2], 6), grown)


def test_no_memory_is_allocated_after_the_first_batch(model: PreTrainedModel) -> None:
    cache = RowCache(model.config, 4, N_TOKENS)
    allocated = [layer for layer in cache.layers if type(layer).__name__ == "_AllocatedLayer"]
    cache.begin(4)
    said(model, cache, tokens(4, 5, 0), [0, 2], 8)
    first = [layer._buffers[0].data_ptr() for layer in allocated]
    cache.begin(3)
    said(model, cache, tokens(3, 5, 0), [1], 8)
    assert [layer._buffers[0].data_ptr() for layer in allocated] == first
    assert first


def test_more_rows_or_tokens_than_there_is_room_for_are_refused() -> None:
    model = MODELS["full attention"]().eval().requires_grad_(False)
    cache = RowCache(model.config, 2, 4)
    with pytest.raises(ValueError, match="3 rows in a cache of 2"):
        cache.begin(3)
    cache.begin(2)
    with pytest.raises(ValueError, match="5 tokens in a cache of 4"):
        model(tokens(2, 5, 0), past_key_values=cache, use_cache=True)


@pytest.mark.parametrize("name", ["full attention", "GPT-2", "window of two"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_size_told_is_the_size_allocated(name: str, dtype: torch.dtype) -> None:
    model = MODELS[name]().to(dtype).eval().requires_grad_(False)
    cache = RowCache(model.config, 3, 9)
    cache.begin(3)
    model(tokens(3, 5, 0), past_key_values=cache, use_cache=True)
    allocated = sum(buffer.nbytes for layer in cache.layers for buffer in layer._buffers)
    assert cache_bytes(model.config, 3, 9, dtype) == allocated
