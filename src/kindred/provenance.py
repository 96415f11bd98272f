"""Where a table comes from: a sidecar beside it that names the commit, params, inputs, packages and machine.

A sidecar is no part of the artefact: the same table made at another commit is the same table. It is kept by git.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kindred.arithmetic import Arithmetic
from kindred.artefacts.folder import SIDECAR, Manifest, artefact_files, file_sha256, read_manifest
from kindred.environment import Environment, environment
from kindred.errors import KindredError
from kindred.params import Params
from kindred.pipeline import model_fingerprints
from kindred.repository import Repository

# Everything in the repository that a result can depend on: what `uncommitted` looks at. (The deps of dvc.yaml.)
ORIGINS = ("Snakefile", "rules", "src/kindred", "models", "experiments", "requirements.lock", "params.yaml")


class Link(BaseModel):
    """One artefact of the chain from a table back to the corpus.

    Attributes:
        step: The step that made it.
        identity: The SAE, pair or shard; empty where there is one for the experiment.
        version: Of the artefact's form.
        settings: Hash of every setting that it depends on (values of params, hashes of model files, versions).
        sources: Hash of the code of the step.
        inputs: Content hash of each artefact that it was made from, by folder.
        content: Hash of its own files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    step: str
    identity: str
    version: int
    settings: str
    sources: str
    inputs: dict[str, str]
    content: str


class Provenance(BaseModel):
    """What a sidecar says of its table.

    Attributes:
        table: Its name.
        files: SHA-256 of each of its files.
        commit: The commit that was checked out; None outside of a git repository.
        uncommitted: Files that the table can depend on and that differed from that commit.
        params: All params of the experiment.
        models: What tells this state of the model and of each SAE from another: hash of the folder, or the hub's name.
        corpus: Content hash of the documents.
        chain: All artefacts that the table was made from, by folder, the corpus first.
        environment: Of the process that wrote the table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    table: str
    files: dict[str, str]
    commit: str | None
    uncommitted: list[str]
    params: dict[str, Any]
    models: dict[str, str]
    corpus: str
    chain: dict[str, Link]
    environment: Environment

    @property
    def arithmetic(self) -> Arithmetic:
        """How it was computed; what was made before there was a choice was made by the processor's own."""
        return "portable" if self.params.get("arithmetic") == "portable" else "fast"


def link(manifest: Manifest) -> Link:
    """What the chain says of one artefact."""
    settings = json.dumps(manifest.params, sort_keys=True).encode()
    return Link(
        step=manifest.kind,
        identity=manifest.identity,
        version=manifest.version,
        settings=hashlib.sha256(settings).hexdigest(),
        sources=manifest.sources,
        inputs=manifest.inputs,
        content=manifest.content,
    )


def chain(folders: Iterable[Path]) -> dict[str, Link]:
    """Some artefacts and all that they were made from, each after its own inputs.

    Raises:
        KindredError: one of them is not there.
    """
    found: dict[str, Link] = {}

    def visit(folder: str) -> None:
        if folder in found:
            return
        manifest = read_manifest(Path(folder))
        if manifest is None:
            raise KindredError(f"{folder}: no artefact here; run snakemake, or dvc pull, to have it")
        for name in sorted(manifest.inputs):
            visit(name)
        found[folder] = link(manifest)

    for folder in sorted(str(folder) for folder in folders):
        visit(folder)
    return found


def sidecar_of(table: Path) -> Path:
    """The sidecar of a file of a table: results/tables/pairs.provenance.json of results/tables/pairs.csv."""
    return table.with_name(f"{table.name.split('.')[0]}{SIDECAR}")


def read_provenance(text: bytes, place: str) -> Provenance:
    """What a sidecar says.

    Raises:
        KindredError: it is not one that this version can read; the message names `place`.
    """
    try:
        return Provenance.model_validate_json(text)
    except ValidationError as error:
        raise KindredError(
            f"{place}: not a sidecar that this version of kindred can read ({error.errors()[0]['msg']}); "
            "have the tables made anew, or read it with the version that wrote it"
        ) from error


def write_sidecars(
    directory: Path,
    place: Path,
    inputs: Iterable[Path],
    params: Params,
    computed_in: Environment | None = None,
) -> None:
    """Write a sidecar for each table in a folder.

    Where the sidecar that HEAD has would differ in nothing but the commit (and the processor, in portable arithmetic),
    that one is kept: what is made again in the same way was first made there.

    Args:
        directory: Where the tables are being written.
        place: The folder they are for, relative to the project.
        inputs: The artefacts that they were made from.
        params: Of the experiment.
        computed_in: The environment that wrote the tables; None if it is this process's.
    """
    tables = _tables({path.name: file_sha256(path) for path in artefact_files(directory)})
    repository = _repository()
    origin = {
        **_origin(inputs, params, repository),
        "environment": computed_in or environment(params.arithmetic),
    }
    for table, files in tables.items():
        new = Provenance(table=table, files=files, **origin)
        name = f"{table}{SIDECAR}"
        kept = _committed(repository, f"{place}/{name}", new)
        (directory / name).write_text((kept or new).model_dump_json(indent=1) + "\n")


def renew_sidecars(directory: Path, manifest: Manifest, place: Path, params: Params) -> None:
    """Write the sidecars of tables that come back from the store, as of now but for the environment.

    The commit, the params and the chain of now give these tables: their hashes say so. The environment is the one that
    computed them.

    Args:
        directory: The folder that is being put in place, with the sidecars of then.
        manifest: Of the tables.
        place: Where they are put, relative to the project.
        params: Of the experiment.

    Raises:
        KindredError: a sidecar of then is missing or damaged.
    """
    damage = sidecar_damage(directory, manifest)
    if damage:
        raise KindredError(damage)
    sidecars = sorted(directory.glob(f"*{SIDECAR}"))
    computed_in = [read_provenance(path.read_bytes(), str(path)).environment for path in sidecars]
    write_sidecars(directory, place, map(Path, manifest.inputs), params, *computed_in[:1])


def sidecar_damage(directory: Path, manifest: Manifest) -> str | None:
    """The first sidecar that is missing or does not belong to its table, in words; None if all is well."""
    for table, files in _tables({name: record.sha256 for name, record in manifest.files.items()}).items():
        path = directory / f"{table}{SIDECAR}"
        try:
            record = read_provenance(path.read_bytes(), str(path))
        except FileNotFoundError:
            return f"{path} is missing"
        except KindredError:
            return f"{path} is damaged, or was written by another version of kindred"
        if (record.table, record.files) != (table, files):
            return f"{path} is that of another table"
    return None


def _tables(hashes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The hashes of files, by name, as those of each table."""
    tables: dict[str, dict[str, str]] = {}
    for name, digest in hashes.items():
        tables.setdefault(name.split(".")[0], {})[name] = digest
    return tables


def _origin(inputs: Iterable[Path], params: Params, repository: Repository | None) -> Mapping[str, Any]:
    links = chain(inputs)
    return {
        "commit": repository.head() if repository else None,
        "uncommitted": repository.uncommitted(ORIGINS) if repository else [],
        "params": params.model_dump(mode="json"),
        "models": model_fingerprints(params),
        "corpus": next(link.content for link in links.values() if link.step == "corpus"),
        "chain": links,
    }


def _what_counts(record: Provenance) -> dict[str, Any]:
    """What makes a table another one: everything but the commit and what cannot change a number."""
    found = record.model_dump(exclude={"commit", "uncommitted", "environment"})
    return found | {"environment": record.environment.that_counts(record.arithmetic)}


def _repository() -> Repository | None:
    try:
        repository = Repository(Path())
        repository.head()
    except (
        KindredError
    ):  # a copy without git, or before its first commit: the sidecar says that there is no commit
        return None
    return repository


def _committed(repository: Repository | None, path: str, new: Provenance) -> Provenance | None:
    text = repository.committed("HEAD", path) if repository else None
    if text is None:
        return None
    try:
        old = read_provenance(text, path)
    except KindredError:  # of another version: the new one takes its place
        return None
    same = _what_counts(old) == _what_counts(new)
    return old if same and old.commit and not old.uncommitted else None
