"""Tiny models of every architecture that is promised to work."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

N_LAYERS = 3
VOCABULARY = 50
SPECIAL = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
    **SPECIAL,
}
GROUPED = {**SHAPE, "num_key_value_heads": 1}
HEADS = {**GROUPED, "head_dim": 8}

CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=16, n_layer=N_LAYERS, n_head=2, n_positions=32, **SPECIAL
    ),
    "gpt_neox": GPTNeoXConfig(**SHAPE),
    "gpt_neox_sequential": GPTNeoXConfig(**SHAPE, use_parallel_residual=False),
    "llama": LlamaConfig(**GROUPED),
    "mistral": MistralConfig(**GROUPED, sliding_window=4),
    "qwen2": Qwen2Config(**GROUPED),
    "qwen3": Qwen3Config(**HEADS),
    "gemma2": Gemma2Config(**HEADS, sliding_window=4),
    "gemma3": Gemma3TextConfig(**HEADS, sliding_window=4),
    "phi": PhiConfig(**SHAPE),
}


def build_model(config: PretrainedConfig) -> PreTrainedModel:
    """A model with random weights, norms included, so that no norm is the identity."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def model(architecture):
    return build_model(CONFIGS[architecture])
