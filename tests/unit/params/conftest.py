"""A copy of params.yaml to spoil, and tiny model and SAE folders for it to name."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

REPOSITORY = Path(__file__).parents[3]

Values = dict[str, Any]
Write = Callable[[Values], Path]


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def values() -> Values:
    return yaml.safe_load((REPOSITORY / "params.yaml").read_text())


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes params.yaml into an empty folder, which is made the working directory, so that messages are short."""
    monkeypatch.chdir(tmp_path)

    def to_file(values: Values) -> Path:
        path = Path("params.yaml")
        path.write_text(yaml.safe_dump(values))
        return path

    return to_file


def make_model(folder: Path, **config: Any) -> None:
    """A model folder with a config and an (empty) weights file."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").touch()


def make_sae(folder: Path, hook_name: str, d_in: int = 8, *, old: bool = False) -> None:
    """An SAE in SAELens's format: version 6 keeps the hook in `metadata`, older ones beside the widths."""
    folder.mkdir(parents=True)
    hook = {"hook_name": hook_name}
    config = {"d_in": d_in, "d_sae": 16, **(hook if old else {"metadata": hook})}
    (folder / "cfg.json").write_text(json.dumps(config))
    save_file({"W_dec": np.zeros((16, d_in), np.float32)}, folder / "sae_weights.safetensors")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Everything that the default params.yaml names, tiny: a model of 6 layers and width 8, four SAEs."""
    make_model(tmp_path / "models/docs-lm", num_hidden_layers=6, hidden_size=8, max_position_embeddings=256)
    for name in ("docs-0", "docs-1", "faithful-0", "faithful-1"):
        make_sae(tmp_path / "models/saes" / name, "blocks.3.hook_resid_pre")
    return tmp_path


@pytest.fixture
def sae_maker() -> Callable[..., None]:
    return make_sae


@pytest.fixture
def model_maker() -> Callable[..., None]:
    return make_model
