import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from kindred.errors import KindredError
from kindred.models.loading import load_model

CONFIG = LlamaConfig(
    vocab_size=50,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=3,
    num_attention_heads=2,
    bos_token_id=0,
    eos_token_id=1,
)


def save_tokenizer(folder):
    vocabulary = {"<bos>": 0, "<eos>": 1, "<unk>": 2, "hello": 3, "world": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(CONFIG).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def load(source, revision=None, dtype=torch.float32):
    return load_model(str(source), revision=revision, dtype=dtype, device="cpu")


def test_a_local_folder(folder):
    loaded = load(folder)
    assert (loaded.n_layers, loaded.d_model) == (3, 16)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.tokenizer("hello world")["input_ids"] == [3, 4]
    weights = load_file(folder / "model.safetensors")
    assert torch.equal(
        loaded.model.model.layers[1].mlp.up_proj.weight, weights["model.layers.1.mlp.up_proj.weight"]
    )


def test_dtype(folder):
    assert load(folder, dtype=torch.bfloat16).model.dtype == torch.bfloat16


def hub_cache(root, name, snapshots, refs):
    """A cache as huggingface_hub lays it out: snapshots by commit, refs from branch to commit."""
    repository = root / f"models--{name.replace('/', '--')}"
    for commit, source in snapshots.items():
        shutil.copytree(source, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    for branch, commit in refs.items():
        (repository / "refs" / branch).write_text(commit)


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """The hub's cache at a place of our own, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_hub_name_and_revision(saved, tmp_path, offline_hub):
    other = shutil.copytree(saved, tmp_path / "other")
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(CONFIG).save_pretrained(other)
    old, new = "a" * 40, "b" * 40
    hub_cache(offline_hub, "someone/tiny", {old: saved, new: other}, {"main": new, "v1": old})

    def embedding_of(source):
        return load_file(source / "model.safetensors")["model.embed_tokens.weight"]

    for revision, source in ((None, other), ("main", other), ("v1", saved), (old, saved)):
        weight = load("someone/tiny", revision).model.get_input_embeddings().weight
        assert torch.equal(weight, embedding_of(source)), revision


def test_hub_name_that_is_not_there(offline_hub):
    with pytest.raises(KindredError, match=r"'models/not-there' \(not a local folder, so a hub name\)"):
        load("models/not-there")


def test_revision_of_a_folder(folder):
    with pytest.raises(KindredError, match=r"model\.revision is 'v1', but .* is a local folder"):
        load(folder, "v1")


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        KindredError, match=r"model folder .* could not be loaded: .*no file named model.safetensors"
    ):
        load(folder)


@pytest.mark.parametrize("keep", [4, 100, 0.5, 0.999])
def test_truncated_weights(folder, keep):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep > 1 else int(len(content) * keep)])
    with pytest.raises(KindredError, match="safetensors file is corrupt or truncated"):
        load(folder)


def test_missing_and_misshapen_weights(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    key = "model.layers.1.mlp.up_proj.weight"
    save_file(
        {name: value for name, value in weights.items() if name != key}, path, metadata={"format": "pt"}
    )
    with pytest.raises(KindredError, match=f"1 weights are missing, {key} first"):
        load(folder)
    save_file(weights | {key: torch.zeros(2, 2)}, path, metadata={"format": "pt"})
    with pytest.raises(
        KindredError, match=rf"1 weights have other shapes .* {key} first: \(2, 2\) in the file"
    ):
        load(folder)


class Payload:
    def __reduce__(self):
        return os.mkdir, ("carried-code-ran",)


def test_weights_that_carry_code(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises(KindredError, match="may carry code"):
        load(folder)
    assert not (folder / "carried-code-ran").exists()


def test_no_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(KindredError, match="tokenizer of the model folder"):
        load(folder)


def test_no_tokenizer_where_transformers_makes_up_an_empty_one(tmp_path):
    config = GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(KindredError, match="has no tokenizer"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["{broken", json.dumps({"model_type": "nonsense"}), None])
def test_damaged_config(folder, content):
    path = folder / "config.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(KindredError, match=r"model folder .* could not be loaded"):
        load(folder)


def test_no_causal_language_model(tmp_path):
    config = T5Config(vocab_size=50, d_model=16, d_kv=8, num_layers=1, num_heads=2, d_ff=16)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    with pytest.raises(KindredError, match=r"could not be loaded: Unrecognized configuration"):
        load(tmp_path)


GENERIC_WITHOUT_TORCH = """
import sys
from kindred.models.loading import load_tokenizer
tokenizer = load_tokenizer({folder!r}, revision=None)
assert "torch" not in sys.modules
from transformers import AutoTokenizer
other = AutoTokenizer.from_pretrained({folder!r})
assert type(tokenizer) is type(other), (type(tokenizer), type(other))
text = "A text, of 2 kinds\\n of spaces"
assert tokenizer(text)["input_ids"] == other(text)["input_ids"]
assert tokenizer.special_tokens_map == other.special_tokens_map
"""


def test_generic_tokenizer_is_opened_without_torch_and_is_that_of_transformers() -> None:
    code = GENERIC_WITHOUT_TORCH.format(folder=str(Path("models/docs-lm").resolve()))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_layer_norm_before": False}, "OPTForCausalLM: no final norm found"),
        ({"word_embed_proj_dim": 8}, "OPTForCausalLM: the residual stream is 16 wide, the unembedding 8"),
    ],
)
def test_a_part_that_only_a_later_step_needs_is_missed_at_once(tmp_path, changes, message):
    shape = {
        "vocab_size": 50,
        "hidden_size": 16,
        "ffn_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = OPTConfig(**shape, **{"word_embed_proj_dim": 16, **changes})
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    with pytest.raises(KindredError, match=message):
        load(tmp_path)


def test_a_config_that_asks_for_tuples_is_given_names_all_the_same(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "return_dict": False}))
    assert load(folder).model(torch.tensor([[0, 3]])).logits.shape == (1, 2, 50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_attention_heads": 3, "num_key_value_heads": 3},
            "could not be loaded: .*multiple of the number",
        ),
        ({"hidden_act": "nonsense"}, "could not be loaded: KeyError: .nonsense."),
        ({"model_type": "nonsense"}, "could not be loaded: .*model type `nonsense`"),
        (
            {"intermediate_size": 64},
            r"down_proj.weight first: \(16, 32\) in the file, \(16, 64\) by the config",
        ),
        (
            {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}},
            "brings code of its own .*not run",
        ),
    ],
)
def test_a_config_that_makes_no_model_is_one_line(folder, changes, message):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    (folder / "own.py").write_text("raise SystemExit('the code of the model was run')")
    with pytest.raises(KindredError, match=message) as raised:
        load(folder)
    assert len(str(raised.value).splitlines()) == 1
    assert str(folder) in str(raised.value)


def test_weights_that_the_config_leaves_out_are_a_warning(folder, caplog):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    assert load(folder).n_layers == 2
    (message,) = [text for text in caplog.messages if "are not read" in text]
    assert "9 weights" in message
    assert "model.layers.2.input_layernorm.weight first" in message


def test_whole_models_warn_of_nothing(folder, caplog):
    load(folder)
    assert caplog.messages == []


def test_a_device_that_is_not_there_is_named(folder):
    with pytest.raises(KindredError, match=r"model\.device is 'mps', but the model could not be put there"):
        load_model(str(folder), revision=None, dtype=torch.float32, device="mps")
