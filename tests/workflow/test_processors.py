"""The same bytes on every x86-64 processor: the pipeline on this one, and on an emulated Intel and an emulated AMD.

The emulator is Debian's qemu-user. It computes some ten million floating-point operations in a second, so the whole
pipeline runs on a model, SAEs and an embedder of a few thousand weights; the shipped ones compute a few tokens.
"""

import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import yaml
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kindred.models.tokenizer import train_tokenizer

EMULATOR = shutil.which("qemu-x86_64")
PROCESSORS = {"Intel": "Haswell-noTSX", "AMD": "EPYC-Rome"}
STEPS = (
    "corpus",
    "tokens",
    "activations",
    "features",
    "matching",
    "windows",
    "explanation",
    "scoring",
    "case_study",
    "tables",
    "figures",
    "report",
)
D_MODEL, D_SAE, LENGTH = 32, 64, 32
VOCABULARY = """
    alpha beta gamma delta the of and a model text tokens special end word meaning matrix value return array list sorted
    number row column index given shape sum mean function object name type string file first last
"""
WORDS = VOCABULARY.split()
OVERLAY = {
    "model": {"source": "tiny/model"},
    "saes": {
        "topk": {"loader": "folder", "path": "tiny/saes/topk"},
        "relu": {"loader": "folder", "path": "tiny/saes/relu"},
    },
    "pairs": {"tiny": ["topk", "relu"]},
    "corpus": {"source": "text_files", "path": "tiny/texts"},
    "tokens": {"n_tokens": 1500, "context_length": LENGTH},
    "activations": {"n_shards": 1, "batch_size": 16},
    "matching": {"n_best": 2, "n_worst": 1, "n_control": 1, "min_contexts": 2},
    "windows": {"length": 8, "n_top": 3},
    "explanation": {
        "n_scales": 4,
        "n_explanations": 2,
        "max_new_tokens": 4,
        "inject_layer": 0,
        "batch_size": 32,
    },
    "scoring": {
        "embedder": "tiny/embedder",
        "context_length": 8,
        "n_activating": 6,
        "n_negative": 6,
        "n_deciles": 3,
        "n_permutations": 4,
    },
    "figures": {"dpi": 40},
    "report": {"n_windows": 2},
}
# All commands of a run in one process: what an emulated Python does most of the time is import libraries.
REPLAY = """
import json, runpy, sys
for module, *arguments in json.loads(sys.stdin.read()):
    sys.argv = ["-m", *arguments]  # what Python puts there while it imports the parents of a module
    import kindred.steps
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
SHIPPED = """
import hashlib, os
from kindred.arithmetic import settings, settle
os.environ |= settings("portable")
import numpy as np, torch
from pathlib import Path
from kindred.models.loading import load_model
from kindred.params.saes import FolderSae
from kindred.saes.loading import load_sae
from kindred.models.hooks import run_to_hook_points
from kindred.scoring.embedding import load_embedder
torch.set_num_threads(1)
settle("portable")
def show(name, values):
    print(name, hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())
model = load_model("models/docs-lm", revision=None, dtype=torch.float32, device="cpu")
tokens = torch.tensor([[0, *range(300, 311)]])
with torch.inference_mode():
    show("logits", model.model(tokens).logits.numpy())
    for name in ("docs-0", "docs-1"):
        sae = load_sae(name, FolderSae(loader="folder", path=f"models/saes/{name}"), device="cpu")
        hidden = run_to_hook_points(model.model, tokens, None, [sae.hook_point])[sae.hook_point]
        rows = sae.encode_sparse(hidden[0])
        show(name, np.concatenate([rows.counts.numpy(), rows.feature.numpy(), rows.value.numpy()]))
    show("embedding", load_embedder("all-MiniLM-L6-v2", device="cpu", batch_size=2)(["The number of rows.", "A sum."]))
"""


def save_model(folder, texts):
    tokenizer = train_tokenizer(texts, 400, LENGTH * 2)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=D_MODEL,
            intermediate_size=2 * D_MODEL,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=LENGTH * 4,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.model.embed_tokens.weight.data.normal_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_sae(folder, seed, **config):
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    decoder = torch.nn.functional.normalize(torch.randn(D_SAE, D_MODEL, generator=generator), dim=1)
    weights = {"W_enc": decoder.T.contiguous(), "W_dec": decoder.clone()}
    weights |= {"b_enc": torch.full((D_SAE,), -0.5), "b_dec": torch.zeros(D_MODEL)}
    save_file(weights, folder / "sae_weights.safetensors")
    config |= {"d_in": D_MODEL, "d_sae": D_SAE, "dtype": "float32", "apply_b_dec_to_input": True}
    metadata = {"hook_name": "blocks.0.hook_resid_post", "sae_lens_version": "6.54.0", "prepend_bos": True}
    config |= {"normalize_activations": "none", "metadata": metadata}
    (folder / "cfg.json").write_text(json.dumps(config))


def save_embedder(folder):
    vocabulary = {token: place for place, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(1)
    bert = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=D_MODEL,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=2 * D_MODEL,
            max_position_embeddings=64,
        )
    )
    raw = folder.with_name("bert")
    bert.save_pretrained(raw)
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(raw)
    transformer = Transformer(str(raw), max_seq_length=64)
    SentenceTransformer(modules=[transformer, Pooling(D_MODEL), Normalize()], device="cpu").save(str(folder))
    shutil.rmtree(raw)


@pytest.fixture(scope="module")
def native(tmp_path_factory, new_project):
    """A tiny experiment, computed on this processor."""
    project = new_project(tmp_path_factory.mktemp("native") / "project")
    tiny = project.root / "tiny"
    drawn = random.Random(0)
    texts = [" ".join(drawn.choices(WORDS, k=drawn.randint(20, 60))) + "." for _ in range(60)]
    (tiny / "texts").mkdir(parents=True)
    for number, text in enumerate(texts):
        (tiny / "texts" / f"{number:02d}.txt").write_text(text)
    save_model(
        tiny / "model", [*texts, 'What is the meaning of the word "X"? The meaning of the word is'] * 5
    )
    save_sae(tiny / "saes/topk", 0, architecture="topk", k=4)
    save_sae(tiny / "saes/relu", 1, architecture="standard")
    save_embedder(tiny / "embedder")
    (project.root / "experiments/tiny.yaml").write_text(yaml.safe_dump(OVERLAY))
    project.set("experiment", "tiny")
    project.snakemake()
    return project


def commands(project):
    """The commands of all jobs of a run, each step after those that it reads."""
    found = []
    for step in STEPS:
        logs = [project.root / "logs" / f"{step}.log", *sorted((project.root / "logs" / step).glob("*.log"))]
        for log in logs:
            if log.exists():
                line = re.search(r"python -m (kindred\.steps\.\w+ .*)", log.read_text())[1]
                found.append(shlex.split(line))
    assert {command[0].rpartition(".")[2] for command in found} == set(STEPS)
    return found


def emulated(processor, project, code, **options):
    """Run Python code on an emulated processor in the project's folder."""
    done = subprocess.run(
        [EMULATOR, "-cpu", PROCESSORS[processor], sys.executable, "-c", code],
        cwd=project.root,
        env=project.environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=1800,
        **options,
    )
    assert done.returncode == 0, f"{processor}: {done.stdout}\n{done.stderr}"
    return done.stdout


def on_both(work):
    """What a function gives for each emulated processor; both at once."""
    with ThreadPoolExecutor() as threads:
        return dict(zip(PROCESSORS, threads.map(work, PROCESSORS), strict=True))


needs_emulator = pytest.mark.skipif(
    EMULATOR is None, reason="qemu-user is not installed (apt install qemu-user)"
)


@needs_emulator
def test_every_artefact_has_the_same_bytes_on_an_intel_and_on_an_amd_processor(native, tmp_path):
    replayed = json.dumps(commands(native))

    def compute(processor):
        project = native.copy(tmp_path / processor)
        shutil.rmtree(project.root / "cache")
        shutil.rmtree(project.root / "results")
        emulated(processor, project, REPLAY, input=replayed)
        return project.hashes("cache", "results")

    expected = native.hashes("cache", "results")
    for processor, found in on_both(compute).items():
        # The sidecars name the processor; everything else has to be the same.
        differing = {
            name
            for name in expected.keys() | found.keys()
            if expected.get(name) != found.get(name) and not name.endswith(".provenance.json")
        }
        assert not differing, processor


@needs_emulator
def test_the_shipped_models_compute_the_same_bits_on_an_intel_and_on_an_amd_processor(native):
    expected = native.run(sys.executable, "-c", SHIPPED).stdout
    assert len(expected.splitlines()) == 4
    assert on_both(lambda processor: emulated(processor, native, SHIPPED)) == dict.fromkeys(
        PROCESSORS, expected
    )


def test_fast_arithmetic_is_told_apart_in_the_lineage(native, tmp_path):
    project = native.copy(tmp_path / "fast")
    project.set("arithmetic", "fast")
    done = project.run("snakemake", "-n")
    assert "it was made with arithmetic = 'portable' (now 'fast')" in done.stdout + done.stderr
    assert "corpus" not in project.plan()
    assert "tokens" not in project.plan()
