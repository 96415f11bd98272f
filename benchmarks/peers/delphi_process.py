"""Runs eai-delphi in its own environment, a round at a time, and reads what it wrote."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

PYTHON = Path(__file__).resolve().parents[2] / ".venv-delphi" / "bin" / "python"


class Delphi:
    """A process of delphi's environment that does one round for each line that it is sent."""

    def __init__(self, script: str, setup: Mapping[str, Any], setup_file: Path) -> None:
        """Start it and wait until everything is loaded.

        Args:
            script: A file of this folder.
            setup: What the script reads.
            setup_file: Where the setup is written.
        """
        setup_file.write_text(json.dumps(setup))
        command = [PYTHON, Path(__file__).with_name(script), setup_file]
        self._log = setup_file.with_suffix(".log").open("w+")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self._wait_for("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._log.close()

    def round(self) -> None:
        """Do a round, and return when it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._wait_for("done")

    def _wait_for(self, word: str) -> None:
        """Read lines up to the one that begins with this word; libraries write there too."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(word):
                return
        self._log.seek(0)
        raise RuntimeError(f"the peer has ended: {self._log.read()[-2000:]}")


def cached_rows(
    directory: Path, context_length: int, d_sae: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read what LatentCache wrote: keys token * d_sae + feature, ascending, and the values."""
    keys, values = [], []
    for path in directory.glob("*.safetensors"):
        split = load_file(path)
        context, position, feature = split["locations"].astype(np.int64).T
        feature = feature + int(path.stem.split("_")[0])
        keys.append((context * context_length + position) * d_sae + feature)
        values.append(split["activations"].astype(np.float32))
    key, value = np.concatenate(keys), np.concatenate(values)
    order = np.argsort(key)
    return key[order], value[order]
