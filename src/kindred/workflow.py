"""What the Snakefile does when it is parsed: validate the params, take a snapshot, survey the artefacts."""

import os
from pathlib import Path

from kindred.lineage import STAMPS, Lineage, survey
from kindred.params import Params, check_files, load_params

SNAPSHOT = Path(".kindred/params.json")


def prepare(*, main_process: bool, experiment: str | None, needs_sources: bool) -> Params:
    """The params of this run, the same for all of its processes even if params.yaml is edited meanwhile.

    The main process validates params.yaml and its overlay, writes the snapshot that the steps read, and lines
    the clocks up with the lineage. Job processes only read the snapshot. Whether the model and the SAEs that the params
    name are there is looked at unless `needs_sources` is false.

    Raises:
        KindredError: the params are wrong; the message names key, value and what is allowed.
    """
    if not main_process:
        return Params.model_validate_json(SNAPSHOT.read_bytes())
    params = load_params(Path("params.yaml"), experiment=experiment)
    if needs_sources:
        check_files(params)
    _write_if_changed(SNAPSHOT, params.model_dump_json(indent=1) + "\n")
    survey(Lineage(params))
    return params


def stamp(artefact: str) -> str:
    """The stamp of an artefact's folder (wildcards allowed): time zero when fresh, else newer than it."""
    return str(STAMPS / artefact)


def _write_if_changed(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)
