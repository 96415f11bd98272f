import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kindred.errors import KindredError
from kindred.explanation.neutral import neutral_residuals, steering_boundary
from kindred.models.hooks import HookPoint
from kindred.models.loading import LoadedModel
from kindred.models.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    return LoadedModel(model=model, tokenizer=train_tokenizer(["a"], 260, 64), n_layers=2, d_model=8)


def text() -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(3, 300, (5, 7), generator=torch.Generator().manual_seed(1))
    is_special = torch.zeros_like(tokens, dtype=torch.bool)
    is_special[:, 0] = True
    is_special[3, 4:] = True
    return tokens, is_special


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_mean_and_mean_norm_of_the_positions_that_count(loaded: LoadedModel, batch_size: int) -> None:
    tokens, is_special = text()
    states = loaded.model(tokens, output_hidden_states=True).hidden_states
    measured = neutral_residuals(loaded, tokens, is_special, [0, 1, 2], batch_size)
    for boundary in (0, 1):
        counted = states[boundary][~is_special]
        torch.testing.assert_close(measured[boundary].mean, counted.mean(0))
        assert measured[boundary].mean_norm == pytest.approx(counted.norm(dim=-1).mean().item(), rel=1e-5)
    # The last of the hidden states is after the final norm, the boundary before it.
    torch.testing.assert_close(states[2], loaded.model.model.norm(last_block_output(loaded, tokens)))
    counted = last_block_output(loaded, tokens)[~is_special]
    torch.testing.assert_close(measured[2].mean, counted.mean(0))


def last_block_output(loaded: LoadedModel, tokens: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = loaded.model.model.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    loaded.model(tokens)
    hook.remove()
    return seen[0]


def test_special_positions_do_not_count(loaded: LoadedModel) -> None:
    tokens, is_special = text()
    changed = tokens.clone()
    changed[3, 4:] = 17
    first = neutral_residuals(loaded, tokens, is_special, [0], 8)[0]
    second = neutral_residuals(loaded, changed, is_special, [0], 8)[0]
    assert torch.equal(first.mean, second.mean)
    assert first.mean_norm == second.mean_norm


def test_text_of_special_tokens_alone_is_refused(loaded: LoadedModel) -> None:
    tokens, _ = text()
    with pytest.raises(KindredError, match="neutral text"):
        neutral_residuals(loaded, tokens, torch.ones_like(tokens, dtype=torch.bool), [0], 8)


@pytest.mark.parametrize(
    ("name", "boundary"),
    [("resid_pre", 3), ("resid_post", 4), ("mlp_out", 4), ("attn_out", 4)],
)
def test_where_directions_of_each_hook_point_enter(name: str, boundary: int) -> None:
    assert steering_boundary(HookPoint.parse(f"blocks.3.hook_{name}")) == boundary
