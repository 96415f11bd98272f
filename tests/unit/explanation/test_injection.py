import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from kindred.errors import KindredError
from kindred.explanation.injection import Steering, injected, last_residual, unit_directions

TOKENS = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 4]])
VECTORS = torch.tensor([[1.0] * 8, [-2.0] * 8])


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=10,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def block_inputs(model: LlamaForCausalLM, layer: int) -> Tensor:
    seen: list[Tensor] = []
    hook = model.model.layers[layer].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(TOKENS)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("layer", [0, 1])
def test_only_the_named_positions_at_a_block_input_change(
    model: LlamaForCausalLM, layer: int, replaces: bool
) -> None:
    before = block_inputs(model, layer)
    with injected(model, layer, VECTORS, [1, 3], replaces=replaces):
        after = block_inputs(model, layer)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    expected = VECTORS[:, None].expand(-1, 2, -1) if replaces else before[:, [1, 3]] + VECTORS[:, None]
    assert torch.equal(after[:, [1, 3]], expected)


def test_the_boundary_after_the_last_block_is_its_output(model: LlamaForCausalLM) -> None:
    with last_residual(model, 1) as before:
        model(TOKENS)
    with injected(model, 2, VECTORS, None, replaces=False), last_residual(model, 1) as after:
        model(TOKENS)
    torch.testing.assert_close(after[0], before[0] + VECTORS)


def test_hooks_are_gone_after_an_error(model: LlamaForCausalLM) -> None:
    expected = model(TOKENS).logits
    with (
        pytest.raises(RuntimeError, match="stop"),
        injected(model, 0, VECTORS, None, replaces=True),
        last_residual(model, 0),
    ):
        raise RuntimeError("stop")
    assert torch.equal(model(TOKENS).logits, expected)


def test_what_each_kind_injects() -> None:
    direction, scale, mean = torch.tensor([[0.6, 0.8]]), torch.tensor([3.0]), torch.tensor([10.0, 20.0])
    for kind, expected, replaces in (
        ("add", [3.0, 4.0], False),
        ("replace", [3.0, 4.0], True),
        ("mean_plus", [13.0, 24.0], True),
    ):
        steering = Steering(boundary=0, unit=5 / 3, kind=kind, mean=mean)
        torch.testing.assert_close(steering.vectors(direction, scale), torch.tensor([expected]))
        assert steering.replaces == replaces


def test_directions_get_norm_1_and_a_zero_row_is_refused_by_name() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=torch.bfloat16)
    torch.testing.assert_close(unit_directions(rows, [5, 9]), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    with pytest.raises(KindredError, match="feature 9"):
        unit_directions(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), [5, 9])
