"""Every step's estimate: a job that would exceed what is stated is refused, with the parameter to lower."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from kindred.errors import KindredError
from kindred.memory.estimate import MB, MIB, Estimate, Term, refuse_excess
from kindred.memory.sizes import densest_feature, model_size, n_chosen, sae_size
from kindred.memory.steps import Job, estimate
from kindred.params import load_params
from kindred.pipeline import STEPS

ROOT = Path(__file__).parents[3]
D_MODEL, D_SAE, N_CONTEXTS = 8, 96, 50
IDENTITIES = {"activations": "000", "matching": "seeds", "case_study": "seeds"}
ONCE = ("corpus", "tokens", "tables", "figures", "report")
# What is made large, and the parameter that the refusal then names.
HEAVY = {
    "corpus": ({}, "corpus.path"),
    "tokens": ({"tokens.n_tokens": 10**12}, "tokens.n_tokens"),
    "activations": ({"activations.batch_size": 10**7}, "activations.batch_size"),
    "features": ({"features.n_bins": 10**8}, "features.n_bins"),
    "matching": ({}, "d_sae"),
    "windows": ({}, "tokens.n_tokens"),
    "explanation": ({"explanation.batch_size": 10**7, "matching.n_best": 10**6}, "explanation.batch_size"),
    "scoring": ({"scoring.batch_size": 10**6}, "scoring.batch_size"),
    "case_study": ({"matching.n_best": 10**6}, "matching.n_best"),
    "tables": ({"matching.n_best": 10**6}, "matching.n_best"),
    "figures": ({"figures.dpi": 1200}, "figures.dpi"),
    "report": ({"matching.n_best": 10**6}, "matching.n_best"),
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with a small model, two SAEs and the heads of the artefacts that estimates are made from."""
    monkeypatch.chdir(tmp_path)
    Path("model").mkdir()
    config = {
        "hidden_size": D_MODEL,
        "num_hidden_layers": 2,
        "vocab_size": 20,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    Path("model/config.json").write_text(json.dumps(config))
    save_file({"embed": torch.zeros(20, D_MODEL), "block": torch.zeros(10)}, "model/model.safetensors")
    for name in ("docs-0", "docs-1"):
        Path(name).mkdir()
        weights = {"W_enc": torch.zeros(D_MODEL, D_SAE), "W_dec": torch.zeros(D_SAE, D_MODEL)}
        save_file(weights, f"{name}/sae_weights.safetensors")
        Path("features", name).mkdir(parents=True)
        offsets = np.concatenate([[0], np.cumsum(np.arange(D_SAE))]).astype(np.int64)
        np.save(f"features/{name}/offsets.npy", offsets)
    for name in ("tokens", "corpus", "texts", "shard/docs-0"):
        Path(name).mkdir(parents=True)
    np.save("shard/docs-0/value.npy", np.zeros(700, np.float32))
    np.save("tokens/tokens.npy", np.zeros((N_CONTEXTS, 128), np.int32))
    pq.write_table(pa.table({"text": ["a", "b"]}), "corpus/documents.parquet")
    return tmp_path


def job_of(step, **changes):
    values = load_params(ROOT / "params.yaml").model_dump(mode="json")
    values["model"]["source"] = "model"
    values["saes"] = {name: {"loader": "folder", "path": name} for name in ("docs-0", "docs-1")}
    values["pairs"] = {"seeds": ["docs-0", "docs-1"]}
    values["corpus"] |= {"source": "text_files", "path": "texts"}
    for key, value in changes.items():
        section, name = key.split(".")
        values[section][name] = value
    identity = "" if step in ONCE else IDENTITIES.get(step, "docs-0")
    features = ["docs-0", "docs-1"] if step == "case_study" else ["docs-0"]
    inputs = {"tokens": [Path("tokens")], "corpus": [Path("corpus")], "activations": [Path("shard")]}
    params = load_params(ROOT / "params.yaml").model_validate(values)
    return Job(params, identity, inputs | {"features": [Path("features", name) for name in features]})


@pytest.mark.parametrize("step", STEPS)
def test_what_the_rules_state_is_enough_for_a_small_experiment(world, step):
    refuse_excess(estimate(step, job_of(step)), step, 2000)


@pytest.mark.parametrize("step", STEPS)
def test_too_little_is_refused_with_the_parameter_to_lower(world, step):
    changes, parameter = HEAVY[step]
    if step == "corpus":
        with Path("texts/one.txt").open("wb") as file:
            file.truncate(10**10)
    if step == "matching":
        weights = {"W_dec": torch.zeros(400_000, D_MODEL)}
        save_file(weights, "docs-0/sae_weights.safetensors")
    if step == "windows":
        np.lib.format.open_memmap("tokens/tokens.npy", "w+", np.int32, (2 * 10**7, 128)).flush()
    with pytest.raises(KindredError) as refused:
        refuse_excess(estimate(step, job_of(step, **changes)), step, 600)
    message = str(refused.value)
    assert parameter in message
    assert "its rule states 600 MB" in message
    assert f"--set-resources {step}:mem_mb=" in message


@pytest.mark.parametrize("step", STEPS)
def test_what_is_asked_for_is_enough(world, step):
    needed = estimate(step, job_of(step, **HEAVY[step][0]))
    with pytest.raises(KindredError) as refused:
        refuse_excess(needed, step, 1)
    raised = int(str(refused.value).partition(f"{step}:mem_mb=")[2])
    refuse_excess(needed, step, raised)
    assert raised < 1.2 * needed.total / MB + 100


def test_the_largest_part_decides_the_advice():
    terms = Term("a", 10 * MB, "x.a"), Term("b", 90 * MB, "x.b")
    with pytest.raises(
        KindredError, match=r"about 150 MB .* states 149 MB; most of it, 90 MB, is b: lower x\.b"
    ):
        refuse_excess(Estimate(50 * MB, terms), "scoring", 149)
    refuse_excess(Estimate(50 * MB, terms), "scoring", 150)
    with pytest.raises(KindredError, match="is Python and its libraries: give the job more"):
        refuse_excess(Estimate(500 * MB, terms), "scoring", 149)


def test_sizes_are_read_from_heads(world):
    params = job_of("tokens").params
    model = model_size(params)
    assert (model.n_bytes, model.d_key_value, model.n_vocabulary) == (
        4 * (20 * D_MODEL + 10),
        2 * D_MODEL,
        20,
    )
    assert sae_size(params, "docs-0").n_bytes == 2 * 4 * D_SAE * D_MODEL
    assert densest_feature(Path("features/docs-0")) == D_SAE - 1
    assert n_chosen(params, "docs-1") == 30


def test_what_lies_on_a_hub_is_left_out(world):
    params = job_of("tokens", **{"model.source": "org/name"}).params
    assert model_size(params) is None
    saes = {
        "docs-0": {"loader": "sparsify", "path": "org/sae"},
        "docs-1": {"loader": "folder", "path": "docs-1"},
    }
    other = params.model_validate(params.model_dump(mode="json") | {"saes": saes})
    assert sae_size(other, "docs-0") is None
    job = Job(other, "000", {"tokens": [Path("tokens")]})
    assert estimate("activations", job).total > 100 * MIB


def test_the_command_refuses_before_it_works(world):
    """The real command: nothing is written, and without --memory nothing is checked."""
    params = job_of("corpus").params.model_copy(update={"experiment": "default"})
    Path("params.json").write_text(params.model_dump_json())
    Path("texts/a.txt").write_text("Some text.\n")

    def corpus(*more):
        command = [sys.executable, "-m", "kindred.steps.corpus", "--params", "params.json", "--log", "log"]
        return subprocess.run(
            [*command, "--out", "cache/corpus", *more], capture_output=True, text=True, check=False
        )

    refused = corpus("--memory", "50")
    assert refused.returncode == 1
    assert "corpus: needs about" in refused.stderr
    assert "corpus:mem_mb=" in refused.stderr
    assert not Path("cache/corpus").exists()
    for more in (("--memory", "2000"), ()):
        assert corpus(*more).returncode == 0
    assert Path("cache/corpus/documents.parquet").exists()
