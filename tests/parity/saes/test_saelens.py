"""kindred's SAEs against SAELens's own, for every architecture it can save."""

import json
import warnings

import pytest
import torch

from kindred.errors import KindredError
from kindred.saes.saelens import load_saelens_folder, load_saelens_release

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sae_lens
    from sae_lens.saes.sae import SAEMetadata

D_MODEL, D_SAE = 16, 48
CONFIGS = {
    "standard": (sae_lens.StandardSAE, sae_lens.StandardSAEConfig, {}),
    "gated": (sae_lens.GatedSAE, sae_lens.GatedSAEConfig, {}),
    "jumprelu": (sae_lens.JumpReLUSAE, sae_lens.JumpReLUSAEConfig, {}),
    "topk": (sae_lens.TopKSAE, sae_lens.TopKSAEConfig, {"k": 5}),
    "topk_rescaled": (
        sae_lens.TopKSAE,
        sae_lens.TopKSAEConfig,
        {"k": 5, "rescale_acts_by_decoder_norm": True},
    ),
}
TRAINING = {
    "standard": (sae_lens.StandardTrainingSAE, sae_lens.StandardTrainingSAEConfig, {}),
    "gated": (sae_lens.GatedTrainingSAE, sae_lens.GatedTrainingSAEConfig, {}),
    "jumprelu": (sae_lens.JumpReLUTrainingSAE, sae_lens.JumpReLUTrainingSAEConfig, {}),
    "topk": (sae_lens.TopKTrainingSAE, sae_lens.TopKTrainingSAEConfig, {"k": 5}),
    "batchtopk": (sae_lens.BatchTopKTrainingSAE, sae_lens.BatchTopKTrainingSAEConfig, {"k": 5}),
    "matryoshka": (
        sae_lens.MatryoshkaBatchTopKTrainingSAE,
        sae_lens.MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": 5, "matryoshka_widths": [12, 24, 48]},
    ),
}


def metadata(**more):
    return SAEMetadata(hook_name="blocks.1.hook_resid_pre", prepend_bos=True, context_size=32, **more)


def randomize(sae):
    torch.manual_seed(0)
    for name, parameter in sae.named_parameters():
        parameter.data = torch.randn_like(parameter) / 2
        if "threshold" in name and "log" not in name:
            parameter.data.abs_()


def assert_parity(reference, sae, tolerance=1e-6):
    x = 2 * torch.randn(3, 7, D_MODEL, generator=torch.Generator().manual_seed(1)) + 0.3
    with torch.no_grad():
        acts = reference.encode(x)
        out = reference.decode(acts)
    assert 0 < int((acts > 0).sum()) < acts.numel()
    torch.testing.assert_close(sae.encode(x), acts, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(sae.decode(acts, x), out, rtol=tolerance, atol=10 * tolerance)
    torch.testing.assert_close(sae.W_enc, reference.W_enc.float(), rtol=0, atol=0)
    torch.testing.assert_close(sae.W_dec, reference.W_dec.float(), rtol=0, atol=0)
    rows = sae.encode_sparse(x.reshape(-1, D_MODEL))
    torch.testing.assert_close(
        acts.reshape(-1, D_SAE)[rows.row, rows.feature.long()], rows.value, rtol=tolerance, atol=tolerance
    )
    assert len(rows.value) == int((acts > 0).sum())


@pytest.mark.parametrize("apply_b_dec_to_input", [True, False])
@pytest.mark.parametrize("normalization", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("architecture", sorted(CONFIGS))
def test_folder(tmp_path, architecture, normalization, apply_b_dec_to_input):
    sae_class, config_class, options = CONFIGS[architecture]
    config = config_class(
        d_in=D_MODEL,
        d_sae=D_SAE,
        normalize_activations=normalization,
        apply_b_dec_to_input=apply_b_dec_to_input,
        metadata=metadata(),
        **options,
    )
    saved = sae_class(config)
    randomize(saved)
    saved.save_model(tmp_path)
    assert_parity(sae_lens.SAE.load_from_disk(tmp_path), load_saelens_folder("mine", tmp_path))


@pytest.mark.parametrize("architecture", sorted(TRAINING))
def test_what_a_trainer_saves_for_inference(tmp_path, architecture):
    """BatchTopK and Matryoshka SAEs are saved as JumpReLU ones."""
    sae_class, config_class, options = TRAINING[architecture]
    training = sae_class(config_class(d_in=D_MODEL, d_sae=D_SAE, metadata=metadata(), **options))
    randomize(training)
    if hasattr(training, "topk_threshold"):
        training.topk_threshold.fill_(0.7)
    training.save_inference_model(tmp_path)
    sae = load_saelens_folder("mine", tmp_path)
    assert_parity(sae_lens.SAE.load_from_disk(tmp_path), sae)
    if architecture in ("batchtopk", "matryoshka"):
        assert sae.architecture == "jumprelu"


def test_scale_of_inputs_folded_by_hand_or_by_saelens(tmp_path):
    config = sae_lens.StandardSAEConfig(
        d_in=D_MODEL, d_sae=D_SAE, normalize_activations="expected_average_only_in", metadata=metadata()
    )
    reference = sae_lens.StandardSAE(config)
    randomize(reference)
    reference.save_model(tmp_path)
    (tmp_path / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 0.37}))
    reference.fold_activation_norm_scaling_factor(0.37)
    assert_parity(reference, load_saelens_folder("mine", tmp_path))


def test_config_of_an_older_version(tmp_path):
    config = sae_lens.TopKSAEConfig(d_in=D_MODEL, d_sae=D_SAE, k=5, metadata=metadata())
    saved = sae_lens.TopKSAE(config)
    randomize(saved)
    saved.save_model(tmp_path)
    old = {
        "d_in": D_MODEL,
        "d_sae": D_SAE,
        "dtype": "torch.float32",
        "hook_point": "blocks.1.hook_resid_pre",
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 5},
    }
    (tmp_path / "cfg.json").write_text(json.dumps(old))
    assert_parity(sae_lens.SAE.load_from_disk(tmp_path), load_saelens_folder("mine", tmp_path))


@pytest.fixture
def release_in_cache(tmp_path, monkeypatch):
    """One tiny SAE where the hub's cache would hold that of gpt2-small-res-jb; no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--jbloom--GPT2-Small-SAEs-Reformatted"
    folder = repository / "snapshots" / ("d" * 40) / "blocks.1.hook_resid_pre"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("d" * 40)
    saved = sae_lens.StandardSAE(sae_lens.StandardSAEConfig(d_in=D_MODEL, d_sae=D_SAE, metadata=metadata()))
    randomize(saved)
    saved.save_model(folder)
    old = {
        "d_in": D_MODEL,
        "d_sae": D_SAE,
        "dtype": "torch.float32",
        "model_name": "gpt2-small",
        "hook_point": "blocks.1.hook_resid_pre",
        "context_size": 128,
        "normalize_activations": False,
    }
    (folder / "cfg.json").write_text(json.dumps(old))
    return saved


def test_release_and_id(release_in_cache):
    """SAELens's directory says that this release was trained on a centred residual stream; that is obeyed."""
    sae = load_saelens_release("mine", "gpt2-small-res-jb", "blocks.1.hook_resid_pre")
    assert sae.metadata.center_residual
    assert (sae.metadata.context_size, sae.metadata.prepend_bos) == (128, True)
    assert str(sae.hook_point) == "blocks.1.hook_resid_pre"
    x = torch.randn(4, D_MODEL) + 1
    with torch.no_grad():
        expected = release_in_cache.encode(x - x.mean(-1, keepdim=True))
    torch.testing.assert_close(sae.encode(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("release", "sae_id"),
    [
        ("no-such-release", "x"),
        ("gpt2-small-res-jb", "blocks.99.hook_resid_pre"),
        ("gpt2-small-res-jb", "blocks.2.hook_resid_pre"),  # exists, but is not in the cache
        ("someone/nothing", "x"),
    ],
)
def test_release_that_cannot_be_had(release_in_cache, release, sae_id):
    with pytest.raises(KindredError, match=f"SAELens release '{release}', id '{sae_id}' could not be loaded"):
        load_saelens_release("mine", release, sae_id)
