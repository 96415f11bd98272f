import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, Gemma3Config, Gemma3TextConfig, LlamaConfig, SiglipVisionConfig

from kindred.errors import KindredError
from kindred.models.hooks import (
    HookPoint,
    blocks,
    embedding,
    final_norm,
    has_post_norms,
    run_to_hook_points,
    unembedding,
)

N_LAYERS = 3
KINDS = ("resid_pre", "resid_post", "mlp_out", "attn_out")
ALL = [HookPoint(kind, layer) for kind in KINDS for layer in range(N_LAYERS)]

# The module whose output transformers adds to the residual stream, spelled out for each architecture.
ATTENTION = {"gpt2": "attn", "gpt_neox": "attention", "gpt_neox_sequential": "attention"}
POST_NORMED = {"gemma2", "gemma3"}


def written_module(architecture, block, kind):
    if architecture in POST_NORMED:
        return block.post_attention_layernorm if kind == "attn_out" else block.post_feedforward_layernorm
    return getattr(block, ATTENTION.get(architecture, "self_attn")) if kind == "attn_out" else block.mlp


def full_pass(model, architecture, tokens, mask=None):
    """Reference: the whole forward pass, with an ordinary hook on every module concerned."""
    seen = {}

    def keep(point):
        def hook(_, __, output):
            seen[point] = (output[0] if isinstance(output, tuple) else output).clone()

        return hook

    handles = []
    for layer, block in enumerate(blocks(model)):
        for kind in ("mlp_out", "attn_out"):
            module = written_module(architecture, block, kind)
            handles.append(module.register_forward_hook(keep(HookPoint(kind, layer))))
        handles.append(block.register_forward_hook(keep(HookPoint("resid_post", layer))))
    with torch.no_grad():
        output = model(input_ids=tokens, attention_mask=mask, output_hidden_states=True, use_cache=False)
    for handle in handles:
        handle.remove()
    for layer in range(N_LAYERS):
        seen[HookPoint("resid_pre", layer)] = output.hidden_states[layer]
    return seen, output


@pytest.fixture
def tokens():
    return torch.randint(3, 50, (2, 9), generator=torch.Generator().manual_seed(1))


def test_every_hook_point_is_what_transformers_computes(model, architecture, tokens):
    expected, output = full_pass(model, architecture, tokens)
    captured = run_to_hook_points(model, tokens, None, ALL)
    for point in ALL:
        torch.testing.assert_close(captured[point], expected[point], rtol=0, atol=0, msg=str(point))
        alone = run_to_hook_points(model, tokens, None, [point])[point]
        torch.testing.assert_close(alone, expected[point], rtol=0, atol=0, msg=f"{point} alone")
    # hidden_states[L] is resid_pre of L; the last one is after the final norm.
    for layer in range(1, N_LAYERS):
        torch.testing.assert_close(captured[HookPoint("resid_post", layer - 1)], output.hidden_states[layer])
    last = final_norm(model)(captured[HookPoint("resid_post", N_LAYERS - 1)])
    torch.testing.assert_close(last, output.hidden_states[-1])


def test_what_is_added_adds_up(model, tokens):
    """Each block's output is its input plus attn_out plus mlp_out, post-norms or not, parallel or not."""
    captured = run_to_hook_points(model, tokens, None, ALL)
    for layer in range(N_LAYERS):
        total = sum(captured[HookPoint(kind, layer)] for kind in ("resid_pre", "attn_out", "mlp_out"))
        torch.testing.assert_close(total, captured[HookPoint("resid_post", layer)], rtol=1e-5, atol=1e-5)


def test_right_padding_changes_no_token(model, tokens):
    padded = torch.cat([tokens, torch.full((2, 4), 2)], dim=1)
    mask = (torch.arange(13) < 9).long().expand(2, 13)
    for point, value in run_to_hook_points(model, padded, mask, ALL).items():
        torch.testing.assert_close(
            value[:, :9], run_to_hook_points(model, tokens, None, [point])[point], rtol=1e-5, atol=1e-5
        )


def test_left_padding_with_positions_changes_no_token(model, tokens):
    padded = torch.cat([torch.full((2, 4), 2), tokens], dim=1)
    mask = (torch.arange(13) >= 4).long().expand(2, 13)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    points = [HookPoint("resid_post", N_LAYERS - 1), HookPoint("attn_out", 1)]
    expected = run_to_hook_points(model, tokens, None, points)
    captured = run_to_hook_points(model, padded, mask, points, position_ids=positions)
    for point in points:
        torch.testing.assert_close(captured[point][:, 4:], expected[point], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_deeper_is_computed(model, tokens, kind):
    """A later block, the final norm or the unembedding would raise here."""

    def too_deep(*_):
        raise AssertionError("computed past the deepest hook point")

    point = HookPoint(kind, 1)
    later = [blocks(model)[2], final_norm(model), model.get_output_embeddings()]
    if kind == "resid_pre":
        later.append(blocks(model)[1])
    handles = [module.register_forward_pre_hook(too_deep) for module in later]
    try:
        assert run_to_hook_points(model, tokens, None, [HookPoint("resid_pre", 0), point])[point].shape == (
            2,
            9,
            16,
        )
    finally:
        for handle in handles:
            handle.remove()


def test_no_hook_is_left_behind(model, tokens):
    def n_hooks():
        return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())

    before = n_hooks()  # transformers keeps some of its own
    run_to_hook_points(model, tokens, None, ALL)
    with pytest.raises(IndexError):
        run_to_hook_points(model, tokens + 1000, None, ALL)
    with pytest.raises(KindredError):
        run_to_hook_points(model, tokens, None, [*ALL, HookPoint("mlp_out", N_LAYERS)])
    assert n_hooks() == before


def test_two_names_of_one_site_share_a_tensor(model, tokens):
    pre, post = HookPoint("resid_pre", 2), HookPoint("resid_post", 1)
    captured = run_to_hook_points(model, tokens, None, [pre, post])
    assert captured[pre] is captured[post]


def test_no_gradient_and_no_hook_points(model, tokens):
    assert not run_to_hook_points(model, tokens, None, [HookPoint("mlp_out", 0)])[
        HookPoint("mlp_out", 0)
    ].requires_grad
    assert run_to_hook_points(model, tokens, None, []) == {}


def test_parts_of_the_model(model, architecture, tokens):
    assert len(blocks(model)) == N_LAYERS
    assert embedding(model).shape == unembedding(model).shape == (50, 16)
    assert has_post_norms(model) == (architecture in POST_NORMED)
    with torch.no_grad():
        output = model(input_ids=tokens, output_hidden_states=True)
        logits = output.hidden_states[-1] @ unembedding(model).T
    bias = getattr(model.get_output_embeddings(), "bias", None)
    if bias is not None:
        logits = logits + bias
    cap = getattr(model.config, "final_logit_softcapping", None)
    torch.testing.assert_close(
        cap * torch.tanh(logits / cap) if cap else logits, output.logits, rtol=1e-4, atol=1e-5
    )


def test_the_text_blocks_of_a_multimodal_gemma3():
    text = Gemma3TextConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    vision = SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    special = {
        "image_token_id": 49,
        "boi_token_id": 47,
        "eoi_token_id": 48,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, **special)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert type(model).__name__ == "Gemma3ForConditionalGeneration"
    assert {type(block).__name__ for block in blocks(model)} == {"Gemma3DecoderLayer"}
    tokens = torch.randint(3, 40, (1, 5))
    with torch.no_grad():
        hidden = model(input_ids=tokens, output_hidden_states=True).hidden_states
    captured = run_to_hook_points(model, tokens, None, [HookPoint("resid_pre", 1), HookPoint("mlp_out", 1)])
    torch.testing.assert_close(captured[HookPoint("resid_pre", 1)], hidden[1])
    assert final_norm(model).weight.shape == (16,)
    assert embedding(model).shape == unembedding(model).shape == (50, 16)


def test_a_layer_that_does_not_exist(tokens):
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=50,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            bos_token_id=0,
        )
    )
    with pytest.raises(KindredError, match=r"blocks\.2\.hook_mlp_out: the model has 2 blocks, 0 to 1"):
        run_to_hook_points(model, tokens, None, [HookPoint("mlp_out", 2)])


@given(st.sampled_from(KINDS), st.integers(0, 200))
def test_names_and_sites(kind, layer):
    point = HookPoint(kind, layer)
    assert HookPoint.parse(str(point)) == point
    assert point.site.site == point.site
    assert (point.site == HookPoint("resid_post", layer - 1)) == (kind == "resid_pre" and layer > 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.layers.3", HookPoint("resid_post", 3)),
        ("gpt_neox.layers.11.mlp", HookPoint("mlp_out", 11)),
        ("transformer.h.0.attn", HookPoint("attn_out", 0)),
        ("layers.7.self_attn", HookPoint("attn_out", 7)),
        ("h.5", HookPoint("resid_post", 5)),
        ("layers.2.attention", HookPoint("attn_out", 2)),
    ],
)
def test_names_of_modules(name, expected):
    assert HookPoint.parse(name) == expected


@pytest.mark.parametrize(
    "name", ["blocks.3.attn.hook_z", "blocks.3.hook_resid_mid", "embed_tokens", "", "layers.2.ln"]
)
def test_other_places_are_refused(name):
    with pytest.raises(KindredError, match="is not supported"):
        HookPoint.parse(name)
