"""What can be wrong with what a user brings: each is one clear message, nothing half-written, and no work lost.

The tests run the real commands on a world of its own: a language model of two layers, two SAEs of 24 features of
which feature 0 never fires, and three short texts.
"""

import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from kindred.artefacts.folder import Made
from kindred.artefacts.writing import writing
from kindred.errors import KindredError
from kindred.models.tokenizer import train_tokenizer
from kindred.params import Params
from kindred.scoring.embedding import carried_folder
from kindred.steps.job import Job
from kindred.store import Store

D_MODEL, D_SAE, CONTEXT = 16, 24, 16
TEXTS = {
    "sums.txt": "Return the sum of all numbers in the list. " * 40,
    "files.txt": "Open a file and read each of its lines into the table. " * 40,
    "graphs.txt": "A graph has nodes, and edges between the nodes of it. " * 40,
}
PARAMS = {
    "pairs": {"ab": ["a", "b"]},
    "saes": {name: {"loader": "folder", "path": f"models/{name}"} for name in ("a", "b")},
    "model": {"source": "models/lm"},
    "corpus": {"source": "text_files", "path": "texts"},
    "tokens": {"n_tokens": 1000, "context_length": CONTEXT},
    "activations": {"n_shards": 2},
    "matching": {"n_best": 2, "n_worst": 1, "n_control": 1, "min_contexts": 0},
    "windows": {"length": 5, "min_length": 1, "n_top": 2},
    "report": {"n_windows": 1},
    "explanation": {"inject_layer": 1, "n_scales": 3, "n_explanations": 1, "max_new_tokens": 3},
    "scoring": {
        "n_activating": 6,
        "n_negative": 6,
        "n_deciles": 3,
        "n_permutations": 2,
        "context_length": 8,
    },
}
ACTIVATIONS = {"out": "cache/activations/000", "tokens": ["cache/tokens"]}
SHARDS = ["cache/activations/000", "cache/activations/001"]
FEATURES = {"out": "cache/features/a", "tokens": ["cache/tokens"], "activations": SHARDS}


def write_model(folder):
    tokenizer = train_tokenizer(TEXTS.values(), 280, CONTEXT)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=D_MODEL,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_sae(folder, seed):
    """A TopK SAE; feature 0 is the same in all of them, and never fires."""
    generator = torch.Generator().manual_seed(seed)
    decoder = torch.randn(D_SAE, D_MODEL, generator=generator)
    decoder[0] = 1
    bias = torch.zeros(D_SAE)
    bias[0] = -1e6
    config = {
        "architecture": "topk",
        "k": 4,
        "d_in": D_MODEL,
        "d_sae": D_SAE,
        "dtype": "float32",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "metadata": {
            "hook_name": "blocks.0.hook_resid_post",
            "model_name": "tiny",
            "prepend_bos": True,
            "context_size": CONTEXT,
            "sae_lens_version": "6.54.0",
        },
    }
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps(config))
    weights = {"W_enc": decoder.T, "W_dec": decoder, "b_enc": bias, "b_dec": torch.zeros(D_MODEL)}
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()}, folder / "sae_weights.safetensors"
    )


@pytest.fixture(scope="module")
def finished(new_project, tmp_path_factory):
    """The whole experiment on the tiny world. Only to be copied."""
    world = new_project(tmp_path_factory.mktemp("world") / "project")
    shutil.rmtree(world.root / "models/docs-lm", ignore_errors=True)
    shutil.rmtree(world.root / "models/saes", ignore_errors=True)
    write_model(world.root / "models/lm")
    for seed, name in enumerate("ab"):
        write_sae(world.root / "models" / name, seed)
    (world.root / "texts").mkdir()
    for name, text in TEXTS.items():
        (world.root / "texts" / name).write_text(text)
    params = yaml.safe_load((world.root / "params.yaml").read_text())
    for section, values in PARAMS.items():
        params[section] = values if section in ("pairs", "saes") else {**params[section], **values}
    (world.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    world.snakemake("results/tables")
    return world


@pytest.fixture
def world(finished, tmp_path):
    return finished.copy(tmp_path / "project")


def refused(world, done, *words):
    """Assert that a step ended with one message, which its log has too, and left nothing half-written."""
    lines = [line for line in done.stderr.splitlines() if ": " in line]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert all(word in lines[-1] for word in words), done.stderr
    assert lines[-1] in (world.root / "logs/step.log").read_text()
    assert world.partials() == []


def refused_by_snakemake(world, *words):
    """Assert that nothing is started: the message is all that is said, and all artefacts stay as they are."""
    before = world.hashes("cache", "results")
    done = world.run("snakemake", "--cores", "1", "results/tables", status=1)
    message = [
        line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")
    ]
    assert all(line.startswith("params.yaml: ") for line in message), message
    assert all(word in message[0] for word in words), message
    assert world.hashes("cache", "results") == before


def changed_params(world, **values):
    """The params of the steps with other values, as a file for --params."""
    params = json.loads((world.root / ".kindred/params.json").read_text())
    for key, value in values.items():
        section, name = key.split("__")
        params[section][name] = value
    (world.root / "changed.json").write_text(json.dumps(params))
    return "changed.json"


def test_a_model_folder_without_weights(world):
    weights = world.root / "models/lm/model.safetensors"
    weights.rename(world.root / "aside")
    refused_by_snakemake(world, "model.source", "models/lm", "weights")
    (world.root / "aside").rename(weights)
    assert world.plan("results/tables") == {}


def test_an_sae_of_another_width(world):
    folder = world.root / "models/b"
    weights = load_file(folder / "sae_weights.safetensors")
    weights |= {name: weights[name].repeat_interleave(2, dim) for name, dim in (("W_enc", 0), ("W_dec", 1))}
    weights["b_dec"] = weights["b_dec"].repeat(2)
    save_file(weights, folder / "sae_weights.safetensors")
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**config, "d_in": 2 * D_MODEL}))
    refused_by_snakemake(world, "saes.b.path", "models/b", "width 32", "16")
    done = world.step("activations", **ACTIVATIONS, status=1)
    refused(world, done, "models/b", "32", "16")


@pytest.mark.parametrize("damage", ["truncated", "corrupt"])
def test_a_damaged_safetensors_file(world, damage):
    path = world.root / "models/a/sae_weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-100] if damage == "truncated" else b"\xff" * 8 + content[8:])
    refused_by_snakemake(world, "saes.a.path", "models/a")
    refused(world, world.step("activations", **ACTIVATIONS, status=1), "models/a/sae_weights.safetensors")
    path.write_bytes(content)
    assert world.plan("results/tables") == {}


class Code:
    """A pickle of this makes a folder when it is loaded."""

    def __reduce__(self):
        return (os.mkdir, ("it-was-run",))


def test_a_pickle_that_carries_code(world):
    folder = world.root / "models/p"
    folder.mkdir()
    config = {"sae_type": "topk", "act_size": D_MODEL, "dict_size": D_SAE, "top_k": 4}
    config["hook_point"] = "blocks.0.hook_resid_post"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "sae.pt").write_bytes(pickle.dumps({"W_enc": Code()}))
    params = changed_params(world, saes__a={"loader": "batch_topk", "path": "models/p"})
    done = world.step("activations", **ACTIVATIONS, params=params, status=1)
    refused(world, done, "models/p/sae.pt", "code", "not loaded")
    assert not (world.root / "it-was-run").exists()


def test_an_empty_corpus(world):
    for name in TEXTS:
        (world.root / "texts" / name).write_text(" \n")
    done = world.step("corpus", "cache/corpus", status=1)
    refused(world, done, "corpus.path", "no text found in texts")
    for name, text in TEXTS.items():
        (world.root / "texts" / name).write_text(text)
    assert world.plan("results/tables") == {}


def test_a_feature_that_never_fires_has_rows_that_say_so(finished):
    tables = finished.root / "results/tables"
    records = json.loads((tables / "matched_features.json").read_text())
    (silent,) = [record for record in records if record["indices"] == [0, 0]]
    assert silent["similarity"] == pytest.approx(1)
    assert silent["windows"] == [{"mean": [], "density": [], "max": []}] * 2
    assert silent["eleuthers"] == silent["swap_scores"] == [None, None]
    features = yaml.safe_load(json.dumps(rows_of(tables / "features.csv")))
    (row,) = [row for row in features if (row["sae"], row["feature"]) == ("a", "0")]
    assert (row["n_tokens_active"], float(row["firing_rate"]), row["auroc"]) == ("0", 0.0, "")


def rows_of(table):
    header, *lines = table.read_text().splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=False)) for line in lines]


@pytest.mark.parametrize("matrix", ["W_dec", "W_enc"])
def test_a_feature_without_a_direction_is_named_before_the_pass_over_the_corpus(world, matrix):
    path = world.root / "models/a/sae_weights.safetensors"
    weights = load_file(path)
    weights[matrix].select(0 if matrix == "W_dec" else 1, 7)[:] = 0
    save_file(weights, path)
    name = "decoder" if matrix == "W_dec" else "encoder"
    done = world.step("activations", **ACTIVATIONS, status=1)
    refused(world, done, "SAE a (models/a)", f"the {name} directions of features 7 are zero")


def test_a_min_contexts_that_no_pair_meets_ends_the_matching(world):
    params = changed_params(world, matching__min_contexts=10_000)
    folders = ["cache/features/a", "cache/features/b"]
    done = world.step("matching", "cache/matching/ab", params=params, features=folders, status=1)
    refused(
        world,
        done,
        "pair ab of a and b",
        "matching.min_contexts = 10000",
        "the one that fires most has",
        "lower",
    )


def test_fewer_pairs_than_were_asked_for_are_told_by_the_matching(world):
    params = changed_params(world, matching__n_best=100, matching__n_worst=0)
    done = world.step(
        "matching", "cache/matching/ab", params=params, features=["cache/features/a", "cache/features/b"]
    )
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert warning.startswith(
        "warning: pair ab: best: 24 pairs of the 100 asked for: no more are eligible; 0 passed"
    )


def test_activations_that_are_not_a_number(world):
    """Finite weights that overflow within the encoder, and a model whose own output is NaN."""
    path = world.root / "models/a/sae_weights.safetensors"
    content = path.read_bytes()
    weights = load_file(path)
    weights["W_enc"][:, 5] = 3e38
    weights["b_dec"][:] = -1e3
    save_file(weights, path)
    refused(
        world,
        world.step("activations", **ACTIVATIONS, status=1),
        "SAE a",
        "not positive and finite",
        "context 0",
    )
    path.write_bytes(content)
    path = world.root / "models/lm/model.safetensors"
    weights = load_file(path)
    weights["model.layers.0.input_layernorm.weight"][:] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    world.step("tokens", "cache/tokens", corpus=["cache/corpus"])
    refused(
        world,
        world.step("activations", **ACTIVATIONS, status=1),
        "model's output is not finite",
        "position 1",
    )


@pytest.fixture
def full_disk(world):
    """A function that puts a file system of 8 KiB under a folder of the world."""
    mounted = []

    def mount(folder):
        place = world.root / folder
        command = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a small file system here: {done.stderr.decode().strip()}")
        mounted.append(place)

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize(
    ("step", "arguments"),
    [("activations", ACTIVATIONS), ("features", FEATURES)],
)
def test_a_full_disk(world, full_disk, step, arguments):
    full_disk(f"cache/{step}")
    done = world.step(step, **arguments, status=1)
    refused(world, done, arguments["out"], "no room left", "run again")
    assert list((world.root / f"cache/{step}").iterdir()) == []


@pytest.fixture
def small_disk(finished, tmp_path):
    """A function: the world on a disk of its own, full but for some KiB, with three artefacts in the store."""
    place = tmp_path / "disk"
    place.mkdir()

    def fill(free):
        command = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a small file system here: {done.stderr.decode().strip()}")
        world = finished.copy(place / "project")
        store = Store(world.root / ".kindred/store")
        store.trim(0)
        for number in range(3):
            origin = Made(kind="x", version=1, identity="", params={"x": number}, sources="", inputs={})
            with writing(place / "x", origin, lambda folder: store.put(folder, link=False)) as partial:
                (partial / "ballast").write_bytes(bytes(1_000_000))
        shutil.rmtree(place / "x")
        with (place / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free - free)
        return world, store

    yield fill
    subprocess.run(["umount", str(place)], check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_on_a_full_disk_the_store_gives_way_oldest_first_and_the_job_finishes(small_disk, finished):
    world, store = small_disk(free=100_000)
    oldest, *_, newest = store.entries()
    world.run("rm", "-rf", FEATURES["out"])
    with (world.root / "ballast").open("wb") as file:  # the room that the artefact took is taken
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(world.root).free - 12_000)
    done = world.step("features", **FEATURES, store=[".kindred/store"])
    assert "the disk is full; the store has made room, the work begins again" in done.stderr
    assert world.hashes(FEATURES["out"]) == finished.hashes(FEATURES["out"])
    assert not oldest.path.exists()
    assert newest.path.exists()
    assert world.partials() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_on_a_full_disk_without_anything_to_drop_the_message_is_as_ever(small_disk):
    world, store = small_disk(free=0)
    store.trim(0)
    world.run("rm", "-rf", FEATURES["out"])
    with (world.root / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(world.root).free - 12_000)
    done = world.step("features", **FEATURES, store=[".kindred/store"], status=1)
    refused(world, done, FEATURES["out"], "no room left", "run again")


def test_a_job_looks_into_the_store_before_it_imports_its_libraries(world):
    before = world.hashes(FEATURES["out"])
    Store(world.root / ".kindred/store").put(world.root / FEATURES["out"], link=True)
    world.run("rm", "-rf", FEATURES["out"])
    inputs = [*("--tokens", "cache/tokens"), "--activations", *SHARDS]
    arguments = ["--params", ".kindred/params.json", "--log", "logs/step.log", "--store", ".kindred/store"]
    command = [sys.executable, "-X", "importtime", "-m", "kindred.steps", "features", *arguments]
    done = world.run(*command, "--out", FEATURES["out"], *inputs)
    assert world.hashes(FEATURES["out"]) == before
    assert f"{FEATURES['out']} comes from the store" in done.stderr
    assert (world.root / "logs/step.log").read_text() == (
        f"{FEATURES['out']} comes from the store: it was computed before\n"
    )
    for library in ("torch", "numba", "transformers", "pyarrow", "kindred.features"):
        assert f"| {library}\n" not in done.stderr.replace(" ", "").replace("|", "| ")


def test_a_job_computes_what_the_store_does_not_have_or_must_not_give(world):
    before = world.hashes(FEATURES["out"])
    store = Store(world.root / ".kindred/store")
    store.put(world.root / FEATURES["out"], link=True)
    store.configure(store.settings.model_copy(update={"takes": False}))
    world.run("rm", "-rf", FEATURES["out"])
    inputs = [*("--tokens", "cache/tokens"), "--activations", *SHARDS]
    arguments = ["--params", ".kindred/params.json", "--log", "logs/step.log", "--store", ".kindred/store"]
    command = [
        sys.executable,
        "-m",
        "kindred.steps",
        "features",
        *arguments,
        "--out",
        FEATURES["out"],
        *inputs,
    ]
    done = world.run(*command)
    assert "comes from the store" not in done.stderr
    assert "python -m kindred.steps.features --params" in (world.root / "logs/step.log").read_text()
    assert world.hashes(FEATURES["out"]) == before


def test_a_disk_that_fills_up_while_results_are_written_keeps_the_old_ones(world):
    """The limit on the size of files stands for the disk; the log has no room either."""
    before = world.hashes("results")
    done = world.run(
        *(sys.executable, "-m", "kindred.steps.tables", "--params", ".kindred/params.json"),
        *("--out", "results/tables", "--log", "/dev/full", "--matching", "cache/matching/ab"),
        *(
            part
            for step in ("features", "explanation", "scoring")
            for part in (f"--{step}", f"cache/{step}/a", f"cache/{step}/b")
        ),
        *("--case_study", "cache/case_study/ab"),
        status=1,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    (message,) = done.stderr.splitlines()
    assert message.startswith("tables: results/tables: no room left to write it")
    assert world.hashes("results") == before
    assert world.partials() == []
    assert world.plan("results/tables") == {}


def test_an_allocation_that_no_machine_can_give_is_one_line(world):
    """Without --memory, by which the rules refuse it before; torch says it in other words than NumPy."""
    params = changed_params(world, windows__n_top=10**12)
    inputs = {"tokens": ["cache/tokens"], "features": ["cache/features/a"], "matching": ["cache/matching/ab"]}
    done = world.step("windows", "cache/windows/a", params=params, **inputs, status=1)
    refused(
        world, done, "windows: the memory of this machine is not enough", "section windows of params.yaml"
    )


def test_a_command_by_hand_with_the_wrong_files_is_one_line(world):
    swapped = {
        "tokens": ["cache/features/a"],
        "features": ["cache/features/a"],
        "matching": ["cache/matching/ab"],
    }
    done = world.step("windows", "cache/windows/a", **swapped, status=1)
    refused(world, done, "--tokens cache/features/a: an artefact of step features, not of step tokens")
    done = world.step("corpus", "cache/corpus", params="absent.json", status=1)
    refused(world, done, "--params absent.json: no such file; `snakemake -n` writes .kindred/params.json")
    done = world.step("corpus", "cache/corpus", params="params.yaml", status=1)
    refused(world, done, "--params params.yaml: not the parameters that this version of kindred writes")
    done = world.step("corpus", "cache/corpus", log="logs", status=1)
    assert done.stderr.startswith("corpus: ")
    assert "logs: Is a directory: a folder is in the place of a file" in done.stderr


@pytest.mark.parametrize("moment", ["while it imports its libraries", "while it works"])
def test_ctrl_c(world, moment):
    before = world.hashes("cache")
    log = world.root / "logs/step.log"
    arguments = ["--params", ".kindred/params.json", "--log", "logs/step.log", "--out", ACTIVATIONS["out"]]
    run = world.start(
        sys.executable, "-m", "kindred.steps.activations", *arguments, "--tokens", "cache/tokens"
    )
    if moment == "while it works":
        while not (log.exists() and log.read_text()):
            time.sleep(0.005)
    else:
        time.sleep(0.7)
        assert not log.exists()
    os.killpg(run.pid, signal.SIGINT)
    status = run.wait(60)
    output = (world.root / "output.txt").read_text()
    assert "Traceback" not in output
    assert world.partials() == []
    assert world.hashes("cache") == before
    if moment == "while it works":
        assert status == 130
        assert output.splitlines()[-1] == (
            "activations: interrupted; what is finished is kept, run again to go on"
        )
    else:
        assert status == -signal.SIGINT
    assert world.plan("results/tables") == {}


def test_the_project_itself_as_corpus(world):
    params = yaml.safe_load((world.root / "params.yaml").read_text())
    params["corpus"]["path"] = "."
    (world.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    refused_by_snakemake(world, 'corpus.path = "."', "holds cache/ and results/ of this project")


def test_odd_names_links_and_texts_of_a_corpus(world, tmp_path):
    texts, elsewhere = world.root / "texts", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "FAR.TXT").write_text("Far <|eos|> away <|bos|> from <|pad|> here. " * 40)
    (texts / "linked").symlink_to(elsewhere)
    (texts / "linked-back").symlink_to(texts)
    (texts / os.fsdecode(b"caf\xe9.txt")).write_text("A name that is not UTF-8. " * 40)
    (texts / "half.jsonl").write_text('{"text": "half \\ud83d of a pair"}\n{"text": "x", "label": null}\n')
    (texts / os.fsdecode(b"left-\xe9.md")).write_text("Not read.")
    world.snakemake("cache/tokens/manifest.json")
    log = (world.root / "logs/corpus.log").read_text()
    assert r"left out (only .txt and .jsonl files are read): left-\xe9.md" in log
    assert "1 texts or labels spell half of a surrogate pair" in log
    documents = pq.read_table(world.root / "cache/corpus/documents.parquet").to_pylist()
    by_source = {document["source"]: document for document in documents}
    assert {"linked/FAR.TXT", r"caf\xe9.txt", "half.jsonl::1"} < set(by_source)
    assert by_source["half.jsonl::1"]["text"] == "half \N{REPLACEMENT CHARACTER} of a pair"
    assert by_source["half.jsonl::2"]["label"] == "texts"
    tokens, is_special = (
        np.load(world.root / "cache/tokens" / f"{name}.npy") for name in ("tokens", "is_special")
    )
    assert tokens[~is_special].min() > 2  # BOS, EOS and padding are 0, 1 and 2
    assert world.plan("cache/tokens/manifest.json") == {}
    (elsewhere / "FAR.TXT").write_text("Another text. " * 40)
    assert world.plan("cache/tokens/manifest.json") == {"corpus": 1, "tokens": 1}


@pytest.mark.parametrize(
    ("out", "source"),
    [
        ("cache/corpus", "texts/sums.txt"),
        ("cache/matching/ab", "models/b/sae_weights.safetensors"),
        ("cache/explanation/a", "models/lm/model.safetensors"),
        ("cache/scoring/a", "emb/model.safetensors"),
    ],
)
def test_what_is_replaced_while_a_job_runs_makes_no_artefact(world, monkeypatch, out, source):
    monkeypatch.chdir(world.root)
    if source.startswith("emb"):
        shutil.copytree(carried_folder("all-MiniLM-L6-v2"), "emb")
        params = Params.model_validate_json(
            Path(changed_params(world, scoring__embedder="./emb")).read_bytes()
        )
    else:
        params = Params.model_validate_json(Path(".kindred/params.json").read_bytes())
    before, kept = world.hashes(out), sorted(Path(".kindred/store").iterdir())
    job = Job(params, Path(out), {}, Store(Path(".kindred/store")))

    def work():
        with job.write() as directory:
            (directory / "scores.txt").write_text("of one of the two")
            Path(source).write_bytes(Path(source).read_bytes() + b" ")

    with pytest.raises(
        KindredError, match=f"{out}: what it is made from was replaced while the job ran.*run again"
    ):
        work()
    assert world.hashes(out) == before
    assert sorted(Path(".kindred/store").iterdir()) == kept
    assert world.partials() == []
