"""A project of any size: synthetic text, a small model with random weights, and SAEs around what it computes.

The text is words of the shipped tokenizer's vocabulary, drawn by Zipf's law, in documents of 50 to 600 words: it says
nothing, but has the frequencies that sizes and rates hang on. An SAE's decoder rows are the model's own residuals on a
sample of that text, less their mean and with noise, so that features fire on words as trained ones do. The second SAE
shares half of the first one's rows up to noise.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "rules", "profiles", "src", "params.yaml", "requirements.lock")
SAES = ("first", "second")
_WORDS_PER_FILE = 200_000
_SAMPLE_CONTEXTS = 64


@dataclass(frozen=True)
class Sizes:
    """How large a project is.

    Attributes:
        n_tokens: Of the corpus that is read; the text has a few more.
        d_sae: Features of each of the two SAEs.
        k: Of TopK.
        d_model: Width of the model.
        n_layers: Blocks of the model; the SAEs read the middle.
        context_length: Positions of a context.
        n_shards: Jobs that the contexts are divided over.
        n_pairs: Pairs of features of each group (best, worst, control) that are looked at closely.
        n_scales: Of the self-explanation.
        n_tested: Contexts of each kind that an explanation is tested on.
    """

    n_tokens: int
    d_sae: int
    k: int = 32
    d_model: int = 64
    n_layers: int = 4
    context_length: int = 128
    n_shards: int = 2
    n_pairs: int = 3
    n_scales: int = 8
    n_tested: int = 20


def make_project(folder: Path, sizes: Sizes, seed: int = 0) -> Path:
    """Make a project in an empty folder, ready for `snakemake`."""
    folder.mkdir(parents=True)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    (folder / "models").mkdir()
    shutil.copy2(ROOT / "models" / "recipe.yaml", folder / "models")  # which the Snakefile reads
    generator = np.random.default_rng(seed)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models" / "docs-lm")
    write_text(folder / "corpus", tokenizer, sizes.n_tokens, generator)
    model = write_model(folder / "model", tokenizer, sizes, seed)
    write_saes(folder / "saes", model, tokenizer, sizes, generator)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["model"] |= {"source": "model"}
    params["saes"] = {name: {"loader": "folder", "path": f"saes/{name}"} for name in SAES}
    params["pairs"] = {"both": list(SAES)}
    params["corpus"] |= {"source": "text_files", "path": "corpus"}
    params["tokens"] |= {"n_tokens": sizes.n_tokens, "context_length": sizes.context_length}
    params["activations"] |= {"n_shards": sizes.n_shards}
    params["matching"] |= dict.fromkeys(("n_best", "n_worst", "n_control"), sizes.n_pairs)
    params["explanation"] |= {"inject_layer": 1, "n_scales": sizes.n_scales}
    params["scoring"] |= {"n_activating": sizes.n_tested, "n_negative": sizes.n_tested}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


def write_text(
    folder: Path, tokenizer: PreTrainedTokenizerBase, n_tokens: int, generator: np.random.Generator
) -> None:
    """Write documents as JSON lines, a bounded number to a file, until they surely hold enough tokens."""
    folder.mkdir()
    words = np.array(
        sorted(word[1:] for word in tokenizer.get_vocab() if word[0] == "\u0120" and word[1:].isalpha())
    )
    share = 1 / (np.arange(len(words)) + 3.0)
    share /= share.sum()
    written = 0
    for number in range(1 << 30):
        if written > 1.02 * n_tokens:  # a word is a token, the first one of a document often several
            return
        drawn = words[generator.choice(len(words), _WORDS_PER_FILE, p=share)]
        ends = np.cumsum(generator.integers(50, 600, size=_WORDS_PER_FILE // 50))
        with (folder / f"{number:04d}.jsonl").open("w") as file:
            for part in np.split(drawn, ends[ends < len(drawn)]):
                file.write(json.dumps({"text": " ".join(part.tolist())}) + "\n")
        written += len(drawn)


def write_model(
    folder: Path, tokenizer: PreTrainedTokenizerBase, sizes: Sizes, seed: int
) -> LlamaForCausalLM:
    """Write a Llama with random weights and the tokenizer."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.d_model,
        intermediate_size=2 * sizes.d_model,
        num_hidden_layers=sizes.n_layers,
        num_attention_heads=max(sizes.d_model // 32, 1),
        max_position_embeddings=2 * sizes.context_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@torch.no_grad()
def write_saes(
    folder: Path,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    sizes: Sizes,
    generator: np.random.Generator,
) -> None:
    """Write the two SAEs in SAELens's folder format."""
    layer = sizes.n_layers // 2 - 1
    texts = [json.loads(line)["text"] for line in next((folder.parent / "corpus").glob("*")).open()]
    ids = tokenizer(" ".join(texts[: _SAMPLE_CONTEXTS * 2]), verbose=False)["input_ids"]
    n_contexts = min(len(ids) // sizes.context_length, _SAMPLE_CONTEXTS)
    tokens = torch.tensor(ids[: n_contexts * sizes.context_length]).reshape(n_contexts, -1)
    residual = model(tokens, output_hidden_states=True).hidden_states[layer + 1].flatten(0, 1)
    mean = residual.mean(dim=0)
    first = _rows(residual - mean, sizes.d_sae, generator)
    second = _rows(residual - mean, sizes.d_sae, generator)
    shared = generator.permutation(sizes.d_sae)[: sizes.d_sae // 2]
    second[: len(shared)] = _unit(first[shared] + _noise(first[shared], generator, 0.3))
    for name, rows in zip(SAES, (first, second), strict=True):
        (folder / name).mkdir(parents=True)
        weights = {
            "W_enc": rows.T.contiguous(),
            "W_dec": rows,
            "b_enc": torch.zeros(sizes.d_sae),
            "b_dec": mean,
        }
        save_file(weights, folder / name / "sae_weights.safetensors")
        config = {
            "architecture": "topk",
            "d_in": sizes.d_model,
            "d_sae": sizes.d_sae,
            "k": sizes.k,
            "dtype": "float32",
            "apply_b_dec_to_input": True,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "rescale_acts_by_decoder_norm": False,
            "metadata": {
                "model_name": "model",
                "hook_name": f"blocks.{layer}.hook_resid_post",
                "context_size": sizes.context_length,
                "prepend_bos": True,
            },
        }
        (folder / name / "cfg.json").write_text(json.dumps(config))


def _rows(residual: Tensor, n: int, generator: np.random.Generator) -> Tensor:
    """Unit directions near residuals drawn at random, [n, d_model]."""
    drawn: NDArray[np.int64] = generator.integers(len(residual), size=n)
    chosen = _unit(residual[torch.from_numpy(drawn)])
    return _unit(chosen + _noise(chosen, generator, 0.7))


def _noise(rows: Tensor, generator: np.random.Generator, size: float) -> Tensor:
    """Gaussian noise whose rows have about the given length."""
    noise = generator.standard_normal(tuple(rows.shape), dtype=np.float32)
    return torch.from_numpy(noise) * (size / rows.shape[1] ** 0.5)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)
