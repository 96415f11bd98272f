import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from kindred.corpus.document import Document
from kindred.corpus.table import read_documents, write_documents
from kindred.errors import KindredError
from kindred.steps import documents as documents_step
from kindred.steps import train_language_model, train_tokenizer

SETTINGS = {
    "architecture": {
        "hidden_size": 16,
        "n_layers": 1,
        "n_heads": 2,
        "intermediate_size": 32,
        "context_length": 32,
    },
    "training": {
        "token_budget": 4 * 32 * 6,
        "batch_size": 4,
        "validation_share": 0.2,
        "compile": False,
        "bfloat16": False,
        "checkpoint_every": 2,
    },
}


@pytest.fixture(autouse=True)
def _torch_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def folder(tmp_path):
    documents = [
        Document(f"Return the sum number {i} of the elements of it.", f"a.py::sum_of_{i}", "a")
        for i in range(60)
    ]
    write_documents(tmp_path / "documents.parquet", documents)
    train_tokenizer.main(
        [
            f"--documents={tmp_path}/documents.parquet",
            f"--out={tmp_path}/tokenizer",
            '--settings={"vocab_size": 290}',
        ]
    )
    return tmp_path


def run(folder, out, settings=SETTINGS):
    train_language_model.main(
        [
            f"--documents={folder}/documents.parquet",
            f"--tokenizer={folder}/tokenizer",
            f"--checkpoint={folder}/{out}.pt",
            f"--out={folder}/{out}",
            f"--settings={json.dumps(settings)}",
        ]
    )


def test_the_model_can_be_loaded_and_the_recipe_repeats(folder, capsys):
    run(folder, "one")
    assert "step 6/6" in capsys.readouterr().out
    run(folder, "two")
    run(folder, "one")  # a finished training only writes its folder again
    first, second = (load_file(folder / name / "model.safetensors") for name in ("one", "two"))
    assert all(
        torch.equal(first[name], second[name]) and first[name].dtype == torch.bfloat16 for name in first
    )
    assert (folder / "one" / "card.json").read_bytes() == (folder / "two" / "card.json").read_bytes()
    model = AutoModelForCausalLM.from_pretrained(folder / "one", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder / "one")
    assert model.config.bos_token_id == tokenizer.bos_token_id == 0
    assert tokenizer("Return")["input_ids"][0] == 0
    assert model(**tokenizer("Return the sum", return_tensors="pt")).logits.shape[-1] == len(tokenizer)


def test_other_settings_do_not_continue_a_checkpoint(folder):
    run(folder, "one")
    other = {**SETTINGS, "training": {**SETTINGS["training"], "seed": 1}}
    with pytest.raises(KindredError, match=r"one\.pt"):
        run(folder, "one", other)


def test_documents_of_a_package_are_recorded_and_compared(tmp_path):
    arguments = [f"--out={tmp_path}/documents.parquet", '--settings={"packages": ["patsy"]}']
    documents_step.main([*arguments, f"--record={tmp_path}/record.json"])
    assert {document.label for document in read_documents(tmp_path / "documents.parquet")} == {"patsy"}
    expected = [f"--expected={tmp_path}/record.json", f"--record={tmp_path}/again.json"]
    documents_step.main([*arguments, *expected])
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "record.json").read_bytes()
    record = json.loads((tmp_path / "record.json").read_text())
    record["packages"]["patsy"] = {"version": "0.1", "sha256": "0"}
    (tmp_path / "record.json").write_text(json.dumps(record))
    with pytest.raises(KindredError, match=r"package patsy \(installed .*, recorded 0\.1\)"):
        documents_step.main([*arguments, *expected])
