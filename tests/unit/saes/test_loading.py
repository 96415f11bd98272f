import json
import shutil

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file

from kindred.errors import KindredError
from kindred.params.saes import SaeParams
from kindred.saes.loading import load_sae


def load(**params):
    return load_sae("mine", TypeAdapter(SaeParams).validate_python(params), device="cpu")


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """The hub's cache at a place of our own, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def cached(hub, name, folder, inside, *, branch="main", commit="c" * 40):
    """Put a folder into the hub's cache: snapshots by commit, refs from branch to commit."""
    repository = hub / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / commit / inside)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / branch).write_text(commit)


@pytest.fixture
def sparsify_folder(tmp_path):
    folder = tmp_path / "checkpoint" / "layers.3.mlp"
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps({"d_in": 4, "num_latents": 6, "k": 2}))
    shapes = {"encoder.weight": (6, 4), "encoder.bias": (6,), "W_dec": (6, 4), "b_dec": (4,)}
    save_file({name: torch.randn(shape) for name, shape in shapes.items()}, folder / "sae.safetensors")
    return folder


@pytest.fixture
def batch_topk_folder(tmp_path):
    folder = tmp_path / "batch"
    folder.mkdir()
    config = {
        "sae_type": "topk",
        "act_size": 4,
        "dict_size": 6,
        "top_k": 2,
        "hook_point": "blocks.8.hook_resid_pre",
    }
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {"W_enc": (4, 6), "W_dec": (6, 4), "b_enc": (6,), "b_dec": (4,)}
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / "sae.pt")
    return folder


def test_folder(save_folder):
    assert load(loader="folder", path=str(save_folder())).architecture == "topk"


def test_sparsify_folder_with_and_without_hookpoint(sparsify_folder):
    direct = load(loader="sparsify", path=str(sparsify_folder))
    below = load(loader="sparsify", path=str(sparsify_folder.parent), hookpoint="layers.3.mlp")
    assert str(direct.hook_point) == str(below.hook_point) == "blocks.3.hook_mlp_out"
    assert torch.equal(direct.W_enc, below.W_enc)


def test_sparsify_repository(sparsify_folder, offline_hub):
    cached(offline_hub, "EleutherAI/sae-tiny", sparsify_folder, "layers.3.mlp")
    sae = load(loader="sparsify", path="EleutherAI/sae-tiny", hookpoint="layers.3.mlp")
    assert sae.d_sae == 6
    with pytest.raises(KindredError, match="not found: the folder does not exist"):
        load(loader="sparsify", path="EleutherAI/sae-tiny", hookpoint="layers.9")


def test_batch_topk_folder_repository_and_revision(batch_topk_folder, offline_hub):
    assert load(loader="batch_topk", path=str(batch_topk_folder)).architecture == "topk"
    cached(offline_hub, "someone/faithful", batch_topk_folder, "", branch="v2")
    sae = load(
        loader="batch_topk", path="someone/faithful", revision="v2", hook_point="blocks.1.hook_mlp_out"
    )
    assert str(sae.hook_point) == "blocks.1.hook_mlp_out"
    with pytest.raises(
        KindredError, match="someone/faithful is not a local folder, and the hub did not give it"
    ):
        load(loader="batch_topk", path="someone/faithful")


def test_a_folder_in_a_repository(batch_topk_folder, offline_hub):
    cached(offline_hub, "someone/faithful", batch_topk_folder, "seed-42/final")
    assert load(loader="batch_topk", path="someone/faithful/seed-42/final").d_sae == 6


@pytest.mark.parametrize(
    "path", ["no-such-folder", "no/such", "./no/such/folder", "/no/such/folder", "a b/c"]
)
def test_neither_a_folder_nor_a_repository(path, offline_hub):
    with pytest.raises(KindredError, match="is not a local folder, and the hub did not give it"):
        load(loader="sparsify", path=path)


def test_revision_of_a_folder(batch_topk_folder):
    with pytest.raises(KindredError, match="is a local folder: set it to null"):
        load(loader="batch_topk", path=str(batch_topk_folder), revision="main")


def test_device(save_folder):
    sae = load_sae(
        "mine",
        TypeAdapter(SaeParams).validate_python({"loader": "folder", "path": str(save_folder())}),
        device="meta",
    )
    assert sae.W_dec.device.type == "meta"
