import json

import pytest
import torch

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.saes.batch_topk import load_batch_topk

D_MODEL, D_SAE, K = 8, 24, 4


@pytest.fixture
def save(tmp_path):
    """Write a folder as the trainer does: every config value made safe for JSON, a state_dict by torch.save."""

    def write(kind, extra=None, **config):
        generator = torch.Generator().manual_seed(0)
        shapes = {"W_enc": (D_MODEL, D_SAE), "W_dec": (D_SAE, D_MODEL), "b_dec": (D_MODEL,)}
        weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        weights["b_enc"] = torch.zeros(D_SAE)
        weights |= extra or {}
        torch.save(weights, tmp_path / "sae.pt")
        defaults = {
            "seed": 49,
            "seq_len": 128,
            "dtype": "torch.float32",
            "model_name": "gpt2-small",
            "layer": 8,
            "act_size": D_MODEL,
            "dict_size": D_SAE,
            "device": "cuda:0",
            "input_unit_norm": False,
            "sae_type": kind,
            "top_k": K,
            "hook_point": "blocks.8.hook_resid_pre",
        }
        (tmp_path / "config.json").write_text(json.dumps({**defaults, **config}))
        return weights

    return write


def unit_norm(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.std(-1, keepdim=True) + 1e-5)


def kept(weights, x, k=K):
    acts = torch.relu((x - weights["b_dec"]) @ weights["W_enc"])
    value, index = acts.topk(k)
    return torch.zeros_like(acts).scatter(-1, index, value)


@pytest.mark.parametrize("kind", ["topk", "batchtopk"])
@pytest.mark.parametrize("normed", [False, True])
def test_the_largest_of_each_token(save, tmp_path, kind, normed):
    weights = save(kind, input_unit_norm=normed)
    sae = load_batch_topk("f", tmp_path, None)
    x = 3 * torch.randn(6, D_MODEL) + 1
    expected = kept(weights, unit_norm(x) if normed else x)
    torch.testing.assert_close(sae.encode(x), expected)
    out = expected @ weights["W_dec"] + weights["b_dec"]
    if normed:
        centred = x - x.mean(-1, keepdim=True)
        out = out * centred.std(-1, keepdim=True) + x.mean(-1, keepdim=True)
    torch.testing.assert_close(sae.reconstruct(x), out)
    assert (sae.hook_point, sae.metadata.context_size) == (HookPoint("resid_pre", 8), 128)
    assert sae.metadata.prepend_bos is True
    assert ("BatchTopK without a trained threshold" in " ".join(sae.metadata.notes)) == (kind == "batchtopk")


def test_a_trained_threshold_is_used(save, tmp_path):
    weights = save("batchtopk", {"threshold": torch.tensor(0.8)})
    sae = load_batch_topk("f", tmp_path, None)
    x = torch.randn(6, D_MODEL)
    pre = (x - weights["b_dec"]) @ weights["W_enc"]
    torch.testing.assert_close(sae.encode(x), torch.where(pre > 0.8, pre, 0))
    assert sae.metadata.notes == ()


def test_vanilla_and_jumprelu(save, tmp_path):
    x = torch.randn(6, D_MODEL)
    bias = {"b_enc": torch.randn(D_SAE)}
    weights = save("vanilla", bias)
    expected = torch.relu((x - weights["b_dec"]) @ weights["W_enc"] + bias["b_enc"])
    torch.testing.assert_close(load_batch_topk("f", tmp_path, None).encode(x), expected)
    weights = save("jumprelu", bias | {"jumprelu.log_threshold": torch.full((D_SAE,), -1.0)})
    pre = x @ weights["W_enc"] + bias["b_enc"]
    torch.testing.assert_close(
        load_batch_topk("f", tmp_path, None).encode(x), torch.where(pre > torch.tensor(-1.0).exp(), pre, 0)
    )


def test_an_encoder_bias_that_training_left_out(save, tmp_path):
    x = torch.randn(6, D_MODEL)
    weights = save("topk", {"b_enc": torch.randn(D_SAE)})
    sae = load_batch_topk("f", tmp_path, None)
    torch.testing.assert_close(sae.encode(x), kept(weights, x))
    assert "encoder bias" in sae.metadata.notes[0]


def test_hook_point_of_the_params(save, tmp_path):
    save("topk")
    assert load_batch_topk("f", tmp_path, "blocks.3.hook_resid_post").hook_point == HookPoint("resid_post", 3)


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("sym", {}, "sae_type 'sym'"),
        ("topk", {"tied_weights": True}, "tied_weights"),
        ("topk", {"activation": "gelu"}, "activation 'gelu'"),
        ("topk", {"top_k": 25}, "top_k=25"),
        ("topk", {"act_size": 9}, "W_enc has shape"),
        ("topk", {"hook_point": None}, "no 'hook_point'"),
        ("jumprelu", {}, "lack 'jumprelu.log_threshold'"),
    ],
)
def test_what_is_not_supported(save, tmp_path, kind, config, message):
    save(kind, **config)
    with pytest.raises(KindredError, match=message):
        load_batch_topk("f", tmp_path, None)
