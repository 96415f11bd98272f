import os

import pytest
import torch
from safetensors.torch import save_file

from kindred.errors import KindredError
from kindred.saes.reading import read_json, read_safetensors, read_torch


class Payload:
    def __reduce__(self):
        return os.mkdir, ("carried-code-ran",)


def test_a_pickle_that_carries_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"W_enc": torch.zeros(2), "extra": Payload()}, "sae.pt")
    with pytest.raises(
        KindredError, match=r"sae\.pt is not a plain checkpoint of tensors; it may carry code"
    ):
        read_torch(tmp_path / "sae.pt")
    assert not (tmp_path / "carried-code-ran").exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95])
def test_a_truncated_checkpoint(tmp_path, share, legacy):
    path = tmp_path / "sae.pt"
    torch.save({"W_enc": torch.randn(200)}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(KindredError, match=r"sae\.pt is"):
        read_torch(path)


@pytest.mark.parametrize("value", [[1, 2], {"W_enc": "text"}, torch.zeros(3)])
def test_a_checkpoint_of_something_else(tmp_path, value):
    torch.save(value, tmp_path / "sae.pt")
    with pytest.raises(KindredError, match="must hold a state_dict"):
        read_torch(tmp_path / "sae.pt")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_safetensors_file(tmp_path, share):
    path = tmp_path / "sae.safetensors"
    save_file({"W_enc": torch.randn(200)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(KindredError, match=r"sae\.safetensors is corrupt or truncated"):
        read_safetensors(path)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00", b"[1]"])
def test_a_damaged_config(tmp_path, content):
    (tmp_path / "cfg.json").write_bytes(content)
    with pytest.raises(KindredError, match=r"cfg\.json (is not valid JSON|must hold a JSON object)"):
        read_json(tmp_path / "cfg.json")


@pytest.mark.parametrize("read", [read_json, read_safetensors, read_torch])
def test_what_is_not_there(tmp_path, read):
    with pytest.raises(KindredError, match=r"a.file not found: the folder has no such file"):
        read(tmp_path / "a.file")
    with pytest.raises(KindredError, match="not found: the folder does not exist"):
        read(tmp_path / "nowhere" / "a.file")
