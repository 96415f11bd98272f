"""`kindred provenance FILE`: where a result comes from, step by step back to the model and the corpus.

FILE is a table (results/tables/pairs.csv) or any other file of results/ or cache/.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from kindred.artefacts.folder import MANIFEST, SIDECAR, file_sha256, read_manifest
from kindred.errors import KindredError
from kindred.provenance import Link, Provenance, chain, link, read_provenance, sidecar_of

MAIN_PACKAGES = ("torch", "transformers", "sae-lens", "sentence-transformers", "numpy", "scipy", "pandas")
SHORT = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of results/ or cache/")


def run(arguments: argparse.Namespace) -> int:
    """Print the chain of one file.

    Raises:
        KindredError: there is no such file, or it belongs to no artefact.
    """
    path = Path(os.path.relpath(arguments.file))
    if not path.exists():
        raise KindredError(f"{path}: no such file")
    sidecar = path if path.name.endswith(SIDECAR) else sidecar_of(path)
    lines = _of_table(path, sidecar) if sidecar.exists() else _of_file(path)
    print("\n".join(lines))
    return 0


def _of_table(path: Path, sidecar: Path) -> Iterator[str]:
    record = read_provenance(sidecar.read_bytes(), str(sidecar))
    yield f"{path}  (table {record.table} of experiment {record.params['experiment']})"
    for name, recorded in sorted(record.files.items()):
        file = sidecar.with_name(name)
        found = file_sha256(file) if file.exists() else "absent"
        state = (
            "as recorded"
            if found == recorded
            else f"recorded as {recorded[:SHORT]}: NOT the file that was written"
        )
        yield f"  {name}  sha256 {found[:SHORT]}, {state}"
    yield from _circumstances(record)
    yield ""
    yield from _links(record.chain)
    yield ""
    yield "all of it from"
    width = max(map(len, record.models))
    for name, fingerprint in record.models.items():
        yield f"  {name:<{width}}  {_named(record, name)}  {fingerprint[:64]}"
    yield f"  {'corpus':<{width}}  {record.params['corpus']['source']}  {record.corpus}"
    yield f"every parameter and package version: {sidecar}"


def _circumstances(record: Provenance) -> Iterator[str]:
    changed = f", with uncommitted changes in {', '.join(record.uncommitted)}" if record.uncommitted else ""
    yield f"  at commit {record.commit}{changed}" if record.commit else "  outside of a git repository"
    where = record.environment
    versions = ", ".join(f"{name} {where.packages[name]}" for name in MAIN_PACKAGES if name in where.packages)
    yield f"  on {where.platform}, {where.processor} ({where.instructions}), {_threads(record)}"
    yield f"  in {record.arithmetic} arithmetic"
    yield f"  with Python {where.python}, {versions}, and {len(where.packages)} pinned packages in all"


def _threads(record: Provenance) -> str:
    number = record.params["model"]["threads"]
    return f"{number} thread{'' if number == 1 else 's'} for each job"


def _named(record: Provenance, name: str) -> str:
    if name == "model":
        return str(record.params["model"]["source"])
    entry = record.params["saes"][name.removeprefix("saes.")]
    return str(entry.get("path") or f"{entry['release']} {entry['id']}")


def _links(links: Mapping[str, Link]) -> Iterator[str]:
    """One line for each artefact, the last step first: what it is, what it was made from, whether it is here."""
    yield "from these artefacts, the last step first (content, code, settings; where it is)"
    width = max(map(len, links))
    for folder, record in reversed(tuple(links.items())):
        hashes = "  ".join(digest[:SHORT] for digest in (record.content, record.sources, record.settings))
        made_from = f"  <- {', '.join(_brief(record.inputs))}" if record.inputs else ""
        yield f"  {folder:<{width}}  {hashes}  {_presence(folder, record):<12}{made_from}"


def _brief(folders: Mapping[str, str]) -> list[str]:
    """Input folders, those of one step together: cache/features/{docs-0, docs-1}."""
    steps: dict[str, list[str]] = {}
    for folder in sorted(folders):
        parent, _, identity = folder.removeprefix("cache/").partition("/")
        steps.setdefault(parent, []).extend([identity] if identity else [])
    several = {step: "{" + ",".join(names) + "}" for step, names in steps.items() if len(names) > 1}
    return [f"{step}/{several.get(step, names[0])}" if names else step for step, names in steps.items()]


def _presence(folder: str, record: Link) -> str:
    manifest = read_manifest(Path(folder))
    if manifest is None:
        return "not here"
    return "here" if link(manifest) == record else "ANOTHER here"


def _of_file(path: Path) -> Iterator[str]:
    folder = next((place for place in (path, *path.parents) if (place / MANIFEST).exists()), None)
    if folder is None:
        raise KindredError(f"{path}: belongs to no artefact (no {MANIFEST} in its folder or above)")
    links = chain([folder])
    own = links[str(folder)]
    yield f"{path}  (of {own.step}{f' of {own.identity}' if own.identity else ''}: {folder})"
    yield ""
    yield from _links(links)
    yield f"settings in full: {folder / MANIFEST}, and the manifest of each folder above"
