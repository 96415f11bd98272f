"""An artefact is a folder with a manifest, which says what made it and what it consists of."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kindred.errors import KindredError

MANIFEST = "manifest.json"
# Snakemake keeps the time of a directory output in a file of this name inside it.
FOREIGN_FILES = frozenset({MANIFEST, f"{MANIFEST}.damaged", ".snakemake_timestamp"})
# Says of a table where and with what it was made: that is no part of what it is.
SIDECAR = ".provenance.json"


class FileRecord(BaseModel):
    """One file of an artefact.

    Attributes:
        size: In bytes.
        sha256: Of the content.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int
    sha256: str


class Made(BaseModel):
    """What an artefact is and what it is made from: the part of a manifest that is known before it is written.

    Attributes:
        kind: The step that makes it.
        version: Of the artefact's form; another version is made anew.
        identity: The SAE, pair or shard; empty where there is one for the experiment.
        params: Every setting that its bytes depend on.
        sources: Hash of the code of the step and of all it imports from kindred.
        inputs: Content hash of each artefact that was read, by path.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    version: int
    identity: str
    params: dict[str, Any]
    sources: str
    inputs: dict[str, str]


class Manifest(Made):
    """What an artefact is, what it was made from and what it consists of.

    Attributes:
        files: Size and hash of every file, by name.
        content: One hash of all names and contents.
    """

    files: dict[str, FileRecord]
    content: str


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in a stream (a shard may be larger than memory)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def artefact_files(directory: Path) -> list[Path]:
    """The files of an artefact, in sorted order, without its manifest and sidecars."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and path.name not in FOREIGN_FILES and not path.name.endswith(SIDECAR)
    )


def content_hash(files: dict[str, FileRecord]) -> str:
    """One hash of all files' names and contents."""
    lines = "".join(f"{name} {record.sha256}\n" for name, record in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of an artefact, or None where there is none; raises KindredError if it is not readable."""
    path = directory / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except ValidationError as error:
        raise KindredError(
            f"{path}: not a manifest that this version of kindred can read ({error.error_count()} problems, "
            f"first: {error.errors()[0]['msg']}); delete {directory} to have it made anew"
        ) from error


def size_damage(directory: Path, manifest: Manifest) -> str | None:
    """The first file that is missing, unexpected or of another size than recorded, in words; None if all is well."""
    present = {path.relative_to(directory).as_posix(): path for path in artefact_files(directory)}
    for name, record in manifest.files.items():
        if name not in present:
            return f"{directory / name} is missing"
        size = present[name].stat().st_size
        if size != record.size:
            return f"{directory / name} has {size} bytes, not the {record.size} it was written with"
    extra = sorted(set(present) - set(manifest.files))
    return f"{directory / extra[0]} is no part of the artefact" if extra else None


def verify_content(directory: Path, kind: str, version: int) -> Manifest:
    """Check an artefact's kind, version, sizes and checksums, and return its manifest.

    A damaged artefact loses its manifest (renamed to manifest.json.damaged), so that the next run rebuilds it.

    Raises:
        KindredError: the artefact is absent, of another kind or version, or damaged.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        raise KindredError(f"{directory}: no artefact here (no {MANIFEST}); run snakemake to have it made")
    if (manifest.kind, manifest.version) != (kind, version):
        raise KindredError(
            f"{directory}: is {manifest.kind} version {manifest.version}, expected {kind} version {version}; "
            "run snakemake to have it made anew"
        )
    damage = size_damage(directory, manifest) or checksum_damage(directory, manifest, file_sha256)
    if damage:
        (directory / MANIFEST).replace(directory / f"{MANIFEST}.damaged")
        raise KindredError(f"{damage}: damaged; run snakemake again to have {directory} rebuilt")
    return manifest


def checksum_damage(directory: Path, manifest: Manifest, sha256: Callable[[Path], str]) -> str | None:
    """The first file whose content is not what was written, in words; None if all is well.

    Args:
        directory: The artefact's folder, with all files in it.
        manifest: Its manifest.
        sha256: Gives the hash of a file.
    """
    if manifest.content != content_hash(manifest.files):
        return f"{directory / MANIFEST} contradicts itself (content)"
    for name, record in manifest.files.items():
        if sha256(directory / name) != record.sha256:
            return f"{directory / name} differs from what was written (checksum)"
    return None
