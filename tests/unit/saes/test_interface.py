import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.models.hooks import HookPoint
from kindred.saes.architectures import StandardSae
from kindred.saes.interface import SaeMetadata


def build(seed=0, *, d_model=6, d_sae=10, apply_b_dec_to_input=True, **metadata):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"W_enc": (d_model, d_sae), "W_dec": (d_sae, d_model), "b_enc": (d_sae,), "b_dec": (d_model,)}
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return StandardSae(
        "test",
        HookPoint("resid_post", 2),
        weights,
        SaeMetadata("nowhere", "blocks.2.hook_resid_post", **metadata),
        apply_b_dec_to_input=apply_b_dec_to_input,
    )


def test_shapes_and_dtypes():
    sae = build()
    assert (sae.d_model, sae.d_sae, sae.W_enc.shape, sae.W_dec.shape) == (6, 10, (6, 10), (10, 6))
    acts = sae.encode(torch.randn(2, 3, 6, dtype=torch.bfloat16))
    assert acts.shape == (2, 3, 10)
    assert acts.dtype == torch.float32
    assert sae.decode(acts).shape == (2, 3, 6)


def test_encode_by_hand():
    sae = build()
    x = torch.randn(4, 6)
    by_hand = [
        [
            max(0.0, sum((x[t] - sae.weights["b_dec"]) * sae.W_enc[:, f]).item() + sae.weights["b_enc"][f])
            for f in range(10)
        ]
        for t in range(4)
    ]
    torch.testing.assert_close(sae.encode(x), torch.tensor(by_hand), rtol=1e-5, atol=1e-5)


def test_decoder_bias_off_the_input():
    x = torch.randn(4, 6)
    without = build(apply_b_dec_to_input=False)
    torch.testing.assert_close(build().encode(x), without.encode(x - without.weights["b_dec"]))


@given(
    st.integers(0, 1000), st.floats(-50, 50), st.sampled_from(["none", "layer_norm", "constant_norm_rescale"])
)
@settings(max_examples=40, deadline=None)
def test_a_centred_sae_does_not_see_the_mean(seed, shift, normalization):
    """center_writing_weights: the encoder reads x minus its mean over d_model, and decode puts the mean back."""
    sae = build(seed, center_residual=True, normalize_activations=normalization)
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(sae.encode(x + shift), sae.encode(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(sae.reconstruct(x + shift), sae.reconstruct(x) + shift, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(sae.prepare(x).mean(-1), torch.zeros(3), rtol=0, atol=1e-5)


def test_centring_matters():
    x = torch.randn(3, 6) + 2
    assert not torch.allclose(build(center_residual=True).encode(x), build().encode(x))


@given(st.integers(0, 1000), st.floats(0.1, 100))
@settings(max_examples=40, deadline=None)
def test_constant_norm_ignores_the_norm(seed, factor):
    sae = build(seed, normalize_activations="constant_norm_rescale")
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(sae.prepare(x).norm(dim=-1), torch.full((3,), 6**0.5))
    torch.testing.assert_close(sae.encode(factor * x), sae.encode(x), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(sae.reconstruct(factor * x), factor * sae.reconstruct(x), rtol=1e-3, atol=1e-3)


def test_decode_of_a_normalised_input_needs_it():
    sae = build(normalize_activations="layer_norm")
    with pytest.raises(ValueError, match=r"decode\(acts, x\) needs the input x"):
        sae.decode(torch.zeros(2, 10))


def test_to_returns_another_sae():
    sae = build()
    moved = sae.to("meta")
    assert moved.W_enc.device.type == "meta"
    assert sae.W_enc.device.type == "cpu"
