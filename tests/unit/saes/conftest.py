"""Small SAEs with random weights, and folders of them in SAELens's format, written without SAELens."""

import json

import pytest
import torch
from safetensors.torch import save_file

D_MODEL, D_SAE = 16, 48
METADATA = {
    "hook_name": "blocks.1.hook_resid_pre",
    "model_name": "tiny",
    "prepend_bos": True,
    "context_size": 12,
    "sae_lens_version": "6.54.0",
}
ENCODER = {
    "standard": ("b_enc",),
    "gated": ("b_gate", "r_mag", "b_mag"),
    "jumprelu": ("b_enc", "threshold"),
    "topk": ("b_enc",),
}


def random_weights(architecture, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator) / 2

    weights = {"W_enc": draw(D_MODEL, D_SAE), "W_dec": draw(D_SAE, D_MODEL), "b_dec": draw(D_MODEL)}
    weights |= {name: draw(D_SAE) for name in ENCODER[architecture]}
    return {name: value.abs() if name == "threshold" else value for name, value in weights.items()}


@pytest.fixture
def save_folder(tmp_path):
    """A function that writes an SAELens folder and returns it."""

    def save(architecture="topk", *, weights=None, metadata=None, without=(), **config):
        config = {
            "architecture": architecture,
            "d_in": D_MODEL,
            "d_sae": D_SAE,
            "dtype": "float32",
            "apply_b_dec_to_input": True,
            "normalize_activations": "none",
            "metadata": {**METADATA, **(metadata or {})},
            **({"k": 5} if architecture == "topk" else {}),
            **config,
        }
        folder = tmp_path / "sae"
        folder.mkdir(exist_ok=True)
        (folder / "cfg.json").write_text(json.dumps({k: v for k, v in config.items() if k not in without}))
        save_file(weights or random_weights(architecture), folder / "sae_weights.safetensors")
        return folder

    return save


@pytest.fixture
def x():
    """Activations [batch, position, d_model] with a mean and a scale of their own."""
    return 2 * torch.randn(3, 7, D_MODEL, generator=torch.Generator().manual_seed(9)) + 0.3
