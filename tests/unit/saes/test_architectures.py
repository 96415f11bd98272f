import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.models.hooks import HookPoint
from kindred.saes.architectures import GatedSae, GroupMaxSae, JumpReluSae, StandardSae, TopKSae
from kindred.saes.interface import SaeMetadata

D_MODEL, D_SAE = 5, 12
CLASSES = {
    "standard": StandardSae,
    "gated": GatedSae,
    "jumprelu": JumpReluSae,
    "topk": TopKSae,
    "groupmax": GroupMaxSae,
}


def build(architecture, seed=0, *, round_to=None, **options):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        value = torch.randn(*shape, generator=generator)
        return value if round_to is None else (value / round_to).round() * round_to

    weights = {"W_enc": draw(D_MODEL, D_SAE), "W_dec": draw(D_SAE, D_MODEL), "b_dec": draw(D_MODEL)}
    weights |= {name: draw(D_SAE) for name in ("b_enc", "b_gate", "b_mag", "r_mag", "threshold")}
    weights["threshold"] = weights["threshold"].abs()
    if architecture in ("topk", "groupmax"):
        options.setdefault("k", 4)
    place, metadata = HookPoint("resid_pre", 1), SaeMetadata("nowhere", "blocks.1.hook_resid_pre")
    return CLASSES[architecture]("test", place, weights, metadata, apply_b_dec_to_input=True, **options)


@given(
    st.sampled_from(sorted(CLASSES)),
    st.integers(0, 10_000),
    st.integers(0, 6),
    st.sampled_from([None, 0.5, 1.0]),
)
@settings(max_examples=150, deadline=None)
def test_sparse_rows_are_the_dense_activations(architecture, seed, n, round_to):
    """Also where pre-activations are tied, which rounding makes common."""
    sae = build(architecture, seed, round_to=round_to)
    x = torch.randn(n, D_MODEL, generator=torch.Generator().manual_seed(seed + 1))
    if round_to is not None:
        x = x.round()
    rows = sae.encode_sparse(x)
    row, feature, value = rows.row, rows.feature.long(), rows.value
    assert (rows.counts.dtype, rows.feature.dtype) == (torch.int64, torch.int32)
    assert value.dtype == torch.float32
    dense = torch.zeros(n, D_SAE)
    dense[row, feature] = value
    assert torch.equal(dense, sae.encode(x))
    assert bool((value > 0).all())
    order = row * D_SAE + feature
    assert torch.equal(order, order.unique())  # sorted by row, then feature; each pair once


@given(st.integers(0, 10_000), st.integers(1, D_SAE))
@settings(max_examples=50, deadline=None)
def test_topk_keeps_the_largest(seed, k):
    sae = build("topk", seed, k=k)
    x = torch.randn(8, D_MODEL, generator=torch.Generator().manual_seed(seed))
    pre = (x - sae.weights["b_dec"]) @ sae.W_enc + sae.weights["b_enc"]
    acts = sae.encode(x)
    assert int((acts > 0).sum(-1).max()) <= k
    for token in range(8):
        largest = pre[token].sort(descending=True).values[:k].relu()
        assert torch.equal(acts[token].sort(descending=True).values[:k], largest)
        assert torch.equal(acts[token][acts[token] > 0], pre[token][acts[token] > 0])


def test_groupmax_keeps_one_of_each_group():
    sae = build("groupmax", k=3)
    x = torch.randn(20, D_MODEL)
    pre = ((x - sae.weights["b_dec"]) @ sae.W_enc + sae.weights["b_enc"]).relu()
    acts = sae.encode(x)
    for group in range(3):
        part = slice(4 * group, 4 * group + 4)
        assert torch.equal(acts[:, part].sum(-1), pre[:, part].amax(-1))
        assert int((acts[:, part] > 0).sum(-1).max()) <= 1


def test_jumprelu_is_zero_at_its_threshold():
    sae = build("jumprelu")
    sae.weights["W_enc"] = torch.zeros(D_MODEL, D_SAE)
    sae.weights["b_enc"] = torch.tensor([1.0, 1.0, 1.0, -1.0] * 3)
    sae.weights["threshold"] = torch.tensor([0.5, 1.0, float("inf"), -2.0] * 3)
    assert sae.encode(torch.zeros(1, D_MODEL)).tolist() == [[1.0, 0.0, 0.0, 0.0] * 3]


def test_rescaling_by_decoder_norms_is_folding_them_in():
    rescaled = build("topk", rescale_acts_by_decoder_norm=True)
    folded = build("topk")
    norm = folded.W_dec.norm(dim=-1)
    folded.weights["W_enc"] = folded.W_enc * norm
    folded.weights["b_enc"] = folded.weights["b_enc"] * norm
    folded.weights["W_dec"] = folded.W_dec / norm[:, None]
    x = torch.randn(9, D_MODEL)
    torch.testing.assert_close(rescaled.encode(x), folded.encode(x))
    torch.testing.assert_close(rescaled.reconstruct(x), folded.reconstruct(x))


@pytest.mark.parametrize("architecture", sorted(CLASSES))
def test_leading_dimensions(architecture):
    sae = build(architecture)
    x = torch.randn(2, 3, D_MODEL)
    torch.testing.assert_close(sae.encode(x).reshape(6, D_SAE), sae.encode(x.reshape(6, D_MODEL)))
    assert sae.architecture == architecture
