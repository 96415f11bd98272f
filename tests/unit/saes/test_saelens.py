import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.saes.saelens import load_saelens_folder

ARCHITECTURES = ("standard", "gated", "jumprelu", "topk")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_the_folder_says_is_what_is_loaded(save_folder, architecture):
    folder = save_folder(architecture)
    sae = load_saelens_folder("mine", folder)
    weights = load_file(folder / "sae_weights.safetensors")
    assert (sae.name, sae.architecture, sae.d_model, sae.d_sae) == ("mine", architecture, 16, 48)
    assert sae.hook_point == HookPoint("resid_pre", 1)
    assert torch.equal(sae.W_enc, weights["W_enc"])
    assert torch.equal(sae.W_dec, weights["W_dec"])
    assert sae.metadata.prepend_bos is True
    assert sae.metadata.context_size == 12
    assert sae.metadata.model_name == "tiny"
    assert not sae.metadata.center_residual
    assert sae.metadata.notes == ()


def test_hook_of_a_module(save_folder):
    sae = load_saelens_folder("mine", save_folder(metadata={"hook_name": "model.layers.1"}))
    assert sae.hook_point == HookPoint("resid_post", 1)


def test_centring(save_folder, x):
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True, "fold_ln": True}}
    centred = load_saelens_folder("mine", save_folder(metadata=kwargs))
    plain = load_saelens_folder("mine", save_folder())
    assert centred.metadata.center_residual
    assert centred.metadata.notes == ()
    assert torch.equal(centred.encode(x), plain.encode(x - x.mean(-1, keepdim=True)))


def test_other_ways_of_loading_the_model_are_said(save_folder):
    folder = save_folder(metadata={"model_from_pretrained_kwargs": {"revision": "step3000"}})
    (note,) = load_saelens_folder("mine", folder).metadata.notes
    assert "revision='step3000'" in note


def test_weights_are_rounded_to_the_stored_precision(save_folder):
    folder = save_folder(dtype="bfloat16")
    sae = load_saelens_folder("mine", folder)
    weight = load_file(folder / "sae_weights.safetensors")["W_enc"]
    assert sae.W_enc.dtype == torch.float32
    assert torch.equal(sae.W_enc, weight.to(torch.bfloat16).float())


def test_config_before_version_6(save_folder):
    old = {
        "hook_point": "blocks.3.hook_mlp_out",
        "hook_point_layer": 3,
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 7},
        "context_size": 64,
        "normalize_activations": False,
    }
    folder = save_folder("topk", without=("metadata", "architecture", "k", "apply_b_dec_to_input"), **old)
    sae = load_saelens_folder("mine", folder)
    assert (sae.architecture, sae.k, sae.apply_b_dec_to_input) == ("topk", 7, True)
    assert sae.hook_point == HookPoint("mlp_out", 3)
    assert (sae.metadata.context_size, sae.metadata.prepend_bos) == (64, True)


def test_scale_of_inputs_is_folded(save_folder, x):
    folder = save_folder(normalize_activations="expected_average_only_in")
    (folder / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 0.25}))
    sae = load_saelens_folder("mine", folder)
    plain = load_saelens_folder("mine", save_folder())
    torch.testing.assert_close(sae.encode(x), plain.encode(x * 0.25))
    torch.testing.assert_close(sae.reconstruct(x), plain.reconstruct(x * 0.25) / 0.25)
    assert "0.25" in sae.metadata.notes[0]


def test_unknown_scale_of_inputs(save_folder):
    with pytest.raises(KindredError, match=r"unknown factor.*fold_activation_norm_scaling_factor"):
        load_saelens_folder("mine", save_folder(normalize_activations="expected_average_only_in"))


def test_finetuned_scale_of_features(save_folder, x):
    folder = save_folder("standard", finetuning_scaling_factor=True)
    path = folder / "sae_weights.safetensors"
    plain = load_saelens_folder("mine", folder)
    scale = torch.rand(48) + 0.5
    save_file({**load_file(path), "scaling_factor": scale}, path)
    sae = load_saelens_folder("mine", folder)
    acts = plain.encode(x)
    assert torch.equal(sae.encode(x), acts)
    torch.testing.assert_close(sae.decode(acts), plain.decode(acts * scale))
    cfg = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**cfg, "finetuning_scaling_factor": False}))
    with pytest.raises(KindredError, match="no finetuning_scaling_factor"):
        load_saelens_folder("mine", folder)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architecture": "transcoder"}, "architecture 'transcoder' is not supported"),
        ({"architecture": "temporal"}, "architecture 'temporal' is not supported"),
        ({"architecture": "abstopk"}, "architecture 'abstopk' is not supported"),
        ({"activation_fn": "tanh-relu"}, "activation function 'tanh-relu'"),
        ({"normalize_activations": "covariance_whitening"}, "covariance_whitening"),
        ({"reshape_activations": "hook_z"}, "reshape_activations='hook_z'"),
        ({"dtype": "int8"}, "dtype 'int8'"),
        ({"k": 49}, "k between 1 and d_sae=48, not 49"),
        ({"k": None}, "k between 1 and d_sae=48, not None"),
        ({"d_in": 12}, r"W_enc has shape \[16, 48\], but the config says \[12, 48\]"),
        ({"d_in": None}, "no 'd_in'"),
        ({"metadata": {"hook_name": None}}, r"add metadata\.hook_name"),
        ({"metadata": {"hook_name": "blocks.0.attn.hook_z"}}, r"hook point 'blocks\.0\.attn\.hook_z'"),
        ({"metadata": {"hook_head_index": 3}}, "hook_head_index=3"),
    ],
)
def test_what_is_not_supported(save_folder, config, message):
    config = dict(config)
    architecture = config.pop("architecture", "topk")
    weights = load_file(save_folder() / "sae_weights.safetensors")
    with pytest.raises(KindredError, match=message):
        load_saelens_folder("mine", save_folder(architecture, weights=weights, **config))


@pytest.mark.parametrize("key", ["W_dec", "b_enc", "threshold"])
def test_missing_and_damaged_weights(save_folder, key):
    folder = save_folder("jumprelu")
    weights = load_file(folder / "sae_weights.safetensors")
    save_file(
        {name: value for name, value in weights.items() if name != key}, folder / "sae_weights.safetensors"
    )
    with pytest.raises(KindredError, match=f"the weights lack '{key}'"):
        load_saelens_folder("mine", folder)
    weights[key].view(-1)[3] = torch.nan
    save_file(weights, folder / "sae_weights.safetensors")
    with pytest.raises(KindredError, match=f"{key} holds NaN"):
        load_saelens_folder("mine", folder)


def test_a_threshold_may_be_infinite(save_folder, x):
    folder = save_folder("jumprelu")
    weights = load_file(folder / "sae_weights.safetensors")
    weights["threshold"][:] = torch.inf
    save_file(weights, folder / "sae_weights.safetensors")
    assert load_saelens_folder("mine", folder).encode(x).count_nonzero() == 0
