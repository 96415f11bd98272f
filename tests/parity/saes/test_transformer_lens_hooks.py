"""kindred's hook points against TransformerLens's of the same names, in which published SAEs were trained."""

import warnings

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    PreTrainedTokenizerFast,
)

from kindred.models.hooks import HookPoint, run_to_hook_points

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from transformer_lens.model_bridge import TransformerBridge

pytestmark = pytest.mark.filterwarnings("ignore")  # TransformerLens's own

SHAPE = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
CONFIGS = {
    "gpt2": GPT2Config(
        vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=1
    ),
    "gpt_neox": GPTNeoXConfig(**SHAPE),
    "gemma2": Gemma2Config(**SHAPE, num_key_value_heads=1, head_dim=8),
}
POINTS = [
    HookPoint(kind, layer)
    for kind in ("resid_pre", "resid_post", "attn_out", "mlp_out")
    for layer in range(2)
]


def boot(name, folder):
    """One tiny model twice: as transformers has it and as TransformerLens does."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[name]).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({"<bos>": 0, "<eos>": 1, "<unk>": 2}, unk_token="<unk>"))
    special = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<eos>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return model, TransformerBridge.boot_transformers(str(folder), device="cpu")


@pytest.fixture
def tokens():
    return torch.randint(3, 50, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_names_mean_the_same(name, tmp_path, tokens):
    """On Gemma-2 too, where attn_out and mlp_out are after the post-norms."""
    model, bridge = boot(name, tmp_path)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens)
    for point, value in run_to_hook_points(model, tokens, None, POINTS).items():
        torch.testing.assert_close(value, cache[str(point)], rtol=1e-4, atol=1e-4, msg=str(point))


def test_center_writing_weights_is_subtracting_the_mean(tmp_path, tokens):
    model, bridge = boot("gpt2", tmp_path)
    bridge.enable_compatibility_mode(center_writing_weights=True)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens)
    for point, value in run_to_hook_points(model, tokens, None, POINTS).items():
        centred = value - value.mean(-1, keepdim=True)
        torch.testing.assert_close(centred, cache[str(point)], rtol=1e-4, atol=1e-4, msg=str(point))
        assert not torch.allclose(value, cache[str(point)], atol=1e-2)
