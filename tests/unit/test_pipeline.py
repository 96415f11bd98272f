"""The settings of an artefact name exactly what its step reads."""

import json
import os
from pathlib import Path

import pytest

from kindred.corpus.text_files import read_text_files
from kindred.params import Params, load_params
from kindred.pipeline import STEPS, model_fingerprints

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def changed(**sections: dict[str, object]) -> Params:
    """The default parameters with other values."""
    values = json.loads(load_params(ROOT / "params.yaml").model_dump_json())
    for name, section in sections.items():
        values[name] = section if name in {"saes", "pairs"} else values[name] | section
    return Params.model_validate_json(json.dumps(values))


def corpus_settings(**corpus: object) -> dict[str, object]:
    return STEPS["corpus"].settings(changed(corpus=corpus), "")["corpus"]


def write(path: str, content: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


class TestSparsify:
    """One folder of several hook points, of which an SAE is one."""

    @pytest.fixture(autouse=True)
    def folder(self) -> None:
        for layer in (0, 1):
            write(f"scratch/layers.{layer}/cfg.json", "{}")
        Path("sae").mkdir()
        Path("sae/layers.0").symlink_to("../scratch/layers.0")
        Path("sae/layers.1").symlink_to("../scratch/layers.1")

    def fingerprint(self) -> str:
        entry = {"loader": "sparsify", "path": "sae", "hookpoint": "layers.0"}
        params = changed(saes={"a": entry, "b": entry}, pairs={"p": ["a", "b"]})
        activations = STEPS["activations"].settings(params, "000")["saes"]["a"]
        assert activations["files"] == model_fingerprints(params)["saes.a"]
        return str(activations["files"])

    def test_what_lies_behind_a_linked_hook_point_counts(self) -> None:
        before = self.fingerprint()
        write("scratch/layers.0/cfg.json", '{"k": 1}')
        assert self.fingerprint() != before

    def test_another_hook_point_does_not_count(self) -> None:
        before = self.fingerprint()
        write("scratch/layers.1/cfg.json", '{"k": 1}')
        assert self.fingerprint() == before


class TestTextFiles:
    @pytest.fixture(autouse=True)
    def folder(self) -> None:
        write("elsewhere/b.TXT", "Far.")
        write("texts/a.txt", "Near.")
        Path("texts/linked").symlink_to("../elsewhere")

    def files(self) -> object:
        return corpus_settings(source="text_files", path="texts")["files"]

    @pytest.mark.parametrize("file", ["texts/a.txt", "elsewhere/b.TXT", "elsewhere/new.jsonl"])
    def test_every_file_that_is_read_counts(self, file: str) -> None:
        before = self.files()
        write(file, '{"text": "Other."}')
        assert self.files() != before

    def test_a_file_that_is_not_read_does_not_count(self) -> None:
        before = self.files()
        documents = list(read_text_files(Path("texts")))
        write("texts/notes.md", "Not read.")
        assert list(read_text_files(Path("texts"))) == documents
        assert self.files() == before

    def test_a_name_counts_even_if_it_is_not_utf_8(self) -> None:
        before = self.files()
        Path("texts/a.txt").rename(Path("texts", os.fsdecode(b"caf\xe9.txt")))
        assert self.files() != before

    @pytest.mark.parametrize("key", ["text_column", "label_column"])
    def test_the_keys_count(self, key: str) -> None:
        plain = corpus_settings(source="text_files", path="texts")
        assert corpus_settings(source="text_files", path="texts", **{key: "body"}) != plain


def test_a_dataset_counts_whole_with_its_split() -> None:
    write("data/train.jsonl", '{"text": "x"}')
    plain = corpus_settings(source="hf_dataset", path="data")
    assert corpus_settings(source="hf_dataset", path="data", split="train[:1]") != plain
    write("data/README.md", "It may name the files to be read.")
    assert corpus_settings(source="hf_dataset", path="data") != plain
