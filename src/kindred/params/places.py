"""Refusing places that cannot be looked at, and folders that the project writes into, which change with every run."""

from collections.abc import Iterator
from pathlib import Path

from kindred.errors import KindredError
from kindred.folders import identity_of, walk_folder
from kindred.params.problems import Key, Problem
from kindred.params.sections import Params

# What runs, versioning and installing write in the project's folder.
WRITTEN = ("cache", "results", "logs", "train", ".kindred", ".snakemake", ".dvc", ".git")
_WRITTEN_PATTERN = "src/*.egg-info"


def unreachable_problems(params: Params, root: Path) -> Iterator[Problem]:
    """Find the places of which not even the system can say whether something is there.

    Args:
        params: the loaded parameters.
        root: the project's folder, which paths in the parameters are relative to.
    """
    for key, source in _folders(params):
        try:
            (root / source).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue  # a name on a hub, or a missing folder, which is told with what is near
        except (OSError, ValueError) as error:  # no permission, too long, a loop of links; a NUL
            fault = f"cannot be looked at: {getattr(error, 'strerror', None) or error}"
            yield Problem(key, source, fault, "a folder that can be read, or a name on a hub")


def place_problems(params: Params, root: Path) -> Iterator[Problem]:
    """Find the local folders that hold what the project writes, or lie in it, links followed.

    Their content would be another after every run, so everything made from them would be stale for ever.

    Args:
        params: the loaded parameters.
        root: the project's folder, which paths in the parameters are relative to.
    """
    for key, source in _folders(params):
        if (root / source).is_dir():
            try:
                fault = _fault(root / source, root)
            except KindredError as error:
                fault = str(error)
            if fault:
                yield Problem(key, source, fault, "a folder that holds nothing but what is to be read")


def _folders(params: Params) -> Iterator[tuple[Key, str]]:
    yield ("model", "source"), params.model.source
    for name, entry in params.saes.items():
        path = getattr(entry, "path", None)
        if path is not None:
            yield ("saes", name, "path"), path
    if params.corpus.path is not None:
        yield ("corpus", "path"), params.corpus.path
    yield ("scoring", "embedder"), params.scoring.embedder


def _fault(folder: Path, root: Path) -> str:
    """What is wrong with a folder; empty if nothing is."""
    written = [root / name for name in WRITTEN] + sorted(root.glob(_WRITTEN_PATTERN))
    place = folder.resolve()
    inside = [path for path in written if place.is_relative_to(path.resolve())]
    if inside:
        return f"lies in {inside[0].relative_to(root)}/ of this project, which every run changes"
    by_identity = {identity_of(path): path for path in written if path.is_dir()}
    if root.resolve().is_relative_to(place):
        found = list(by_identity.values())
    else:  # also what a link within it leads to
        by_identity[identity_of(root)] = root
        found = [
            by_identity[inner.identity] for inner in walk_folder(folder) if inner.identity in by_identity
        ]
        if not found:
            return ""
    names = [f"{path.relative_to(root)}/" for path in found if path != root]
    shown = " and ".join(dict.fromkeys(names[:2])) + (" of this project" if names else "this project")
    return f"holds {shown}, which every run changes"
