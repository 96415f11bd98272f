import json

import pytest
import torch
from safetensors.torch import save_file

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.saes.sparsify import load_sparsify

D_MODEL, D_SAE, K = 8, 24, 4


@pytest.fixture
def save(tmp_path):
    def write(hookpoint="layers.2", **config):
        folder = tmp_path / hookpoint
        folder.mkdir(exist_ok=True)
        generator = torch.Generator().manual_seed(0)
        shapes = {
            "encoder.weight": (D_SAE, D_MODEL),
            "encoder.bias": (D_SAE,),
            "W_dec": (D_SAE, D_MODEL),
            "b_dec": (D_MODEL,),
        }
        weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        save_file(weights, folder / "sae.safetensors")
        defaults = {
            "expansion_factor": 3,
            "normalize_decoder": True,
            "num_latents": 0,
            "k": K,
            "d_in": D_MODEL,
        }
        (folder / "cfg.json").write_text(json.dumps({**defaults, **config}))
        return folder, weights

    return write


def preactivations(weights, x):
    return torch.relu(
        torch.nn.functional.linear(x - weights["b_dec"], weights["encoder.weight"], weights["encoder.bias"])
    )


def test_topk(save):
    folder, weights = save(multi_topk=False, signed=False)
    sae = load_sparsify("s", folder)
    x = torch.randn(5, D_MODEL)
    value, index = preactivations(weights, x).topk(K)
    expected = torch.zeros(5, D_SAE).scatter(-1, index, value)
    torch.testing.assert_close(sae.encode(x), expected)
    torch.testing.assert_close(sae.decode(expected), expected @ weights["W_dec"] + weights["b_dec"])
    assert (sae.d_model, sae.d_sae, sae.hook_point) == (D_MODEL, D_SAE, HookPoint("resid_post", 2))
    assert torch.equal(sae.W_enc, weights["encoder.weight"].T)
    assert sae.metadata.prepend_bos is None


def test_groupmax(save):
    folder, weights = save("h.0.mlp", activation="groupmax", num_latents=D_SAE)
    sae = load_sparsify("s", folder)
    x = torch.randn(5, D_MODEL)
    pre = preactivations(weights, x)
    grouped = pre.unflatten(-1, (K, -1))
    expected = torch.where(grouped == grouped.amax(-1, keepdim=True), grouped, 0).flatten(1)
    torch.testing.assert_close(sae.encode(x), expected)
    assert (sae.architecture, sae.hook_point) == ("groupmax", HookPoint("mlp_out", 0))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"transcode": True}, "transcode in cfg.json is not supported"),
        ({"skip_connection": True, "transcode": True}, "transcode, skip_connection"),
        ({"signed": True}, "signed"),
        ({"activation": "relu"}, "activation 'relu' is not topk or groupmax"),
        ({"k": 0}, "k=0 does not suit"),
        ({"k": 5, "activation": "groupmax"}, "k=5 does not suit groupmax with 24 latents"),
        ({"k": None}, "no 'k'"),
        ({"d_in": 9}, "encoder.weight has shape"),
    ],
)
def test_what_is_not_supported(save, config, message):
    with pytest.raises(KindredError, match=message):
        load_sparsify("s", save(**config)[0])


def test_a_folder_whose_name_is_no_hook_point(save):
    with pytest.raises(KindredError, match="hook point 'embed_tokens'"):
        load_sparsify("s", save("embed_tokens")[0])
