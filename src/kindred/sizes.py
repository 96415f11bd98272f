"""How large an experiment's artefacts are: in the work tree by their manifests, in a commit by its dvc.lock."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from kindred.artefacts.folder import MANIFEST, read_manifest
from kindred.errors import KindredError
from kindred.pipeline import STEPS
from kindred.store import Store

UNITS = ("kB", "MB", "GB", "TB", "PB")
TOTALS = ("cache", "results")


@dataclass(frozen=True)
class Size:
    """What one step has made, or one folder that DVC versions.

    Attributes:
        name: The step, or the folder.
        folder: Where it lies, relative to the project.
        artefacts: How many; None where dvc.lock does not say.
        files: How many, manifests included.
        n_bytes: Of all files, manifests included.
    """

    name: str
    folder: str
    artefacts: int | None
    files: int
    n_bytes: int


class _Out(BaseModel):
    """An output of a DVC stage; a file has no count of files."""

    model_config = ConfigDict(frozen=True)
    path: str
    size: int
    nfiles: int = 1


class _Stage(BaseModel):
    model_config = ConfigDict(frozen=True)
    outs: tuple[_Out, ...] = ()


class _Lock(BaseModel):
    model_config = ConfigDict(frozen=True)
    stages: dict[str, _Stage] = {}


def step_sizes(root: Path) -> list[Size]:
    """The size of what each step has left in a project's folder, by its manifests alone; no data is read.

    Artefacts that an earlier setting left (a shard too many) count as well: they take room, and DVC versions them.

    Raises:
        KindredError: a manifest cannot be read.
    """
    sizes = []
    for step in STEPS.values():
        manifests = sorted((root / step.folder).glob(MANIFEST))
        manifests += sorted((root / step.folder).glob(f"[!.]*/{MANIFEST}"))
        files, n_bytes = 0, 0
        for path in manifests:
            manifest = read_manifest(path.parent)
            if manifest is None:
                raise KindredError(f"{path} was removed while the sizes were added up; run again")
            files += len(manifest.files) + 1
            n_bytes += sum(record.size for record in manifest.files.values()) + path.stat().st_size
        if manifests:
            sizes.append(Size(step.name, step.folder, len(manifests), files, n_bytes))
    return sizes


def store_size(store: Store) -> Size:
    """The size of a content store, by the names of its entries and the number of their files."""
    entries = store.entries()
    return Size(
        name="store",
        folder=store.root.as_posix(),
        artefacts=len(entries),
        files=sum(1 for entry in entries for path in entry.path.rglob("*") if path.is_file()),
        n_bytes=sum(entry.n_bytes for entry in entries),
    )


def recorded_sizes(lock: bytes, origin: str) -> list[Size]:
    """The sizes that a dvc.lock records, one for each folder of results/ and for cache; `origin` names it in an error.

    Raises:
        KindredError: it is not a dvc.lock.
    """
    try:
        read = _Lock.model_validate(yaml.safe_load(lock))
    except (yaml.YAMLError, ValidationError) as error:
        raise KindredError(
            f"{origin}: not a dvc.lock that can be read; take it from git again, or run `dvc repro`"
        ) from error
    sizes: dict[str, Size] = {}
    for out in (out for stage in read.stages.values() for out in stage.outs):
        folder = "/".join(Path(out.path).parts[:2])  # figures are versioned file by file
        before = sizes.get(folder, Size(folder, folder, None, 0, 0))
        sizes[folder] = replace(before, files=before.files + out.nfiles, n_bytes=before.n_bytes + out.size)
    return list(sizes.values())


def readable(n_bytes: int) -> str:
    """A size with a decimal unit (1 MB is a million bytes) and two or three digits.

    >>> readable(999), readable(21_300_000), readable(1_040_000_000)
    ('999 bytes', '21 MB', '1.0 GB')
    """
    if n_bytes < 1000:
        return f"{n_bytes} bytes"
    value, unit = float(n_bytes), ""
    for larger in UNITS:
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def total(sizes: Sequence[Size], folder: str) -> Size:
    """The sum of what lies under one folder (`cache` or `results`)."""
    inside = [size for size in sizes if Path(size.folder).parts[0] == folder]
    counts = [size.artefacts for size in inside if size.artefacts is not None]
    return Size(
        name=f"total {folder}",
        folder=folder,
        artefacts=sum(counts) if len(counts) == len(inside) else None,
        files=sum(size.files for size in inside),
        n_bytes=sum(size.n_bytes for size in inside),
    )


def size_table(sizes: Sequence[Size], *, store: Size | None = None) -> str:
    """Lines of name, artefacts (where known), files and size, then the totals of cache and results, and the store."""
    rows = [*sizes, *(total(sizes, folder) for folder in TOTALS), *([store] if store else [])]
    counted = any(size.artefacts is not None for size in sizes)
    head = ["step", "artefacts", "files", "size"] if counted else ["folder", "files", "size"]
    cells = [head]
    for size in rows:
        count = [str(size.artefacts)] if counted else []
        cells.append([size.name, *count, str(size.files), readable(size.n_bytes)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    )


def summary_line(sizes: Sequence[Size]) -> str:
    """The sizes in one line: 'cache 1.0 GB in 27 artefacts, results 21 MB'."""
    cache, results = (total(sizes, folder) for folder in TOTALS)
    count = "" if cache.artefacts is None else f" in {cache.artefacts} artefacts"
    return f"cache {readable(cache.n_bytes)}{count}, results {readable(results.n_bytes)}"
