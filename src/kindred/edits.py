"""Whether what DVC's stage depends on was edited while the stage ran.

DVC hashes params and dependencies after the command, so an edit meanwhile would be recorded beside results of before.
The first command of the stage notes what is there when it begins (`note`); the last one, `python -m kindred.edits`,
compares, and fails if there is a difference: then DVC records nothing.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from kindred.artefacts.writing import write_whole
from kindred.errors import KindredError, file_errors
from kindred.file_hashes import FileHashes
from kindred.fingerprints import MEMORY

NOTE = Path(".kindred/stage.json")
STAGES = Path("dvc.yaml")
IGNORED = Path(".dvcignore")
STAGE_VARIABLE = "DVC_STAGE"  # DVC sets it for the commands of a stage
SHOWN = 5


def runs_in_stage() -> bool:
    """Tell whether DVC runs this process as a stage."""
    return STAGE_VARIABLE in os.environ


def note() -> None:
    """Write down what the stage depends on, as it is now; to be called before any of it is read."""
    write_whole(NOTE, json.dumps(state(), indent=0, sort_keys=True).encode())


def state() -> dict[str, str]:
    """Hash every file that a stage of dvc.yaml depends on: params by their values, other files by their bytes."""
    import pathspec  # noqa: PLC0415  # only DVC's runs need it

    lines = IGNORED.read_text().splitlines() if IGNORED.exists() else []
    ignored = pathspec.PathSpec.from_lines("gitignore", lines)
    dependencies, params = _watched()
    hashes = FileHashes(MEMORY)
    found = {str(path): _values(path) for path in params}
    for path in sorted(_files(dependencies)):
        if path not in params and not ignored.match_file(path.as_posix()):
            found[path.as_posix()] = hashes.of(path)
    hashes.save(keep_others=True)
    return found


def edited(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """List the files that were added, removed or changed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def refuse_edits() -> None:
    """Compare what the stage depends on with the note of its beginning, and remove the note.

    Raises:
        KindredError: something was edited; or there is no note.
    """
    try:
        before = json.loads(NOTE.read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise KindredError(f"{NOTE}: no note of how this run began: run `dvc repro`") from error
    NOTE.unlink()
    found = edited(before, state())
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise KindredError(
            f"edited while this ran: {', '.join(found[:SHOWN])}{more}. The results are of what was there at the "
            "beginning, so DVC records nothing. Run `dvc repro` again: only what depends on the edits is computed"
        )


def _watched() -> tuple[list[Path], list[Path]]:
    stages = yaml.safe_load(STAGES.read_text())["stages"].values() if STAGES.exists() else []
    dependencies = [Path(dep) for stage in stages for dep in _names(stage.get("deps", []))]
    return dependencies, [Path(name) for stage in stages for name in _names(stage.get("params", []))]


def _names(entries: list[str | dict[str, object]]) -> list[str]:
    """Paths of dvc.yaml, each written as a text or as a mapping of one key."""
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]


def _files(dependencies: list[Path]) -> set[Path]:
    inside = {
        Path(folder, name)
        for dependency in dependencies
        for folder, _, names in os.walk(dependency)
        for name in names
    }
    return {path for path in [*dependencies, *inside] if path.is_file()}


def _values(path: Path) -> str:
    """Hash what a file of params says, so that a comment or another order of keys makes no difference."""
    content = path.read_bytes() if path.exists() else b""
    with suppress(yaml.YAMLError, ValueError, TypeError):  # half written, perhaps: then it counts as it is
        content = json.dumps(yaml.safe_load(content), sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    try:
        with file_errors():
            refuse_edits()
    except KindredError as refusal:
        sys.exit(f"kindred: {refusal}")
