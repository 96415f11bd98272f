"""What is edited while a stage runs is found: params by value, all other dependencies by their bytes."""

import os
from pathlib import Path

import pytest
import yaml

from kindred.edits import NOTE, note, refuse_edits, state
from kindred.errors import KindredError

ROOT = Path(__file__).parents[2]
DEPENDENCIES = (
    "Snakefile",
    "rules/a.smk",
    "src/kindred/a.py",
    "models/saes/a.bin",
    "experiments/small.yaml",
    "requirements.lock",
)


@pytest.fixture(autouse=True)
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with all that dvc.yaml names, noted."""
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", ".dvcignore"):
        Path(name).write_bytes((ROOT / name).read_bytes())
    for name in DEPENDENCIES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("before\n")
    Path("params.yaml").write_text("seed: 0 # a comment\nlength: 7\n")
    note()


def refusal() -> str:
    with pytest.raises(KindredError) as caught:
        refuse_edits()
    return str(caught.value)


def test_the_folder_holds_every_dependency_of_dvc_yaml() -> None:
    (stage,) = yaml.safe_load(Path("dvc.yaml").read_text())["stages"].values()
    assert {Path(name).parts[0] for name in DEPENDENCIES} == {Path(name).parts[0] for name in stage["deps"]}
    assert set(state()) == {*DEPENDENCIES, "params.yaml"}


def test_nothing_edited_passes_once() -> None:
    refuse_edits()
    assert not NOTE.exists()
    assert "no note of how this run began" in refusal()


@pytest.mark.parametrize("name", [*DEPENDENCIES, "params.yaml"])
def test_every_dependency_that_is_edited_is_named(name: str) -> None:
    Path(name).write_text("length: 5\n")
    assert refusal().startswith(f"edited while this ran: {name}. ")


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_a_dependency_that_is_removed_is_named(name: str) -> None:
    Path(name).unlink()
    assert refusal().startswith(f"edited while this ran: {name}. ")


def test_new_files_are_named_and_a_long_list_is_cut() -> None:
    for number in range(7):
        Path(f"experiments/new{number}.yaml").touch()
    assert "experiments/new4.yaml and 2 more. " in refusal()


def test_params_that_say_the_same_what_is_touched_and_what_dvc_ignores_are_no_edits() -> None:
    Path("params.yaml").write_text("length: 7\nseed: 0\n")
    os.utime("models/saes/a.bin", (0, 0))
    for ignored in (
        "src/kindred/__pycache__/a.pyc",
        "experiments/.small.partial-1/x",
        "rules/.snakemake_timestamp",
    ):
        Path(ignored).parent.mkdir(parents=True, exist_ok=True)
        Path(ignored).touch()
    refuse_edits()


def test_params_that_are_half_written_are_an_edit() -> None:
    Path("params.yaml").write_text("seed: [0\n")
    assert refusal().startswith("edited while this ran: params.yaml. ")
