"""Artefacts that were computed before come back from the store when what made them holds again."""

from pathlib import Path

from kindred.artefacts.folder import Manifest, read_manifest
from kindred.errors import KindredError
from kindred.lineage import Lineage
from kindred.pipeline import Step
from kindred.provenance import renew_sidecars
from kindred.store import Store


def bring_back(lineage: Lineage, store: Store) -> dict[Path, str]:
    """Put every stale artefact that the store has in place; return those, with the reason why each was stale.

    An artefact comes back once its inputs are fresh, or have come back themselves. What stands in the place of a stale
    artefact goes into the store first: it may be wanted again. What is fresh counts as used now.
    """
    found = {}
    for directory, (step, _) in lineage.artefacts.items():  # each after its inputs
        reason = lineage.why_stale(directory)
        if reason is None:
            _note_use(store, directory)
        else:
            _keep(store, directory, step)
            if bring_one_back(lineage, store, directory):
                found[directory] = reason
    return found


def would_come_back(lineage: Lineage, store: Store) -> dict[Path, str]:
    """What `bring_back` would return if every byte in the store is whole; nothing is changed."""
    found = {}
    for directory in lineage.artefacts:
        reason = lineage.why_stale(directory)
        manifest = next(iter(_known(lineage, store, directory)), None) if reason else None
        if reason and manifest:
            lineage.returned(directory, manifest.content)
            found[directory] = reason
    return found


def bring_one_back(lineage: Lineage, store: Store, directory: Path) -> bool:
    """Put one artefact in place if the store has what inputs and settings of now give; say whether that was done."""
    step, _ = lineage.artefacts[directory]
    for manifest in _known(lineage, store, directory):

        def finish(folder: Path, manifest: Manifest = manifest) -> None:
            if step.sidecars:
                renew_sidecars(folder, manifest, directory, lineage.params)

        if store.take(manifest, directory, link=not step.published, finish=finish):
            lineage.returned(directory, manifest.content)
            return True
    return False


def say(artefacts: dict[Path, str], what: str) -> str:
    """One line about artefacts in the store: how many, the first of them and why it was stale."""
    first, reason = next(iter(artefacts.items()))
    more = f" and {len(artefacts) - 1} more" if len(artefacts) > 1 else ""
    return f"kindred: {first}{more}: {reason}; {what}"


def _known(lineage: Lineage, store: Store, directory: Path) -> list[Manifest]:
    """The manifests in the store of what the settings, code and inputs of now give; at most one, as a rule."""
    step, identity = lineage.artefacts[directory]
    return [
        manifest
        for manifest in store.candidates(lineage.made(step, identity, {}))
        if all(
            Path(name) in lineage.artefacts and lineage.content(Path(name)) == content
            for name, content in manifest.inputs.items()
        )
    ]


def _keep(store: Store, directory: Path, step: Step) -> None:
    """Put what stands in a place into the store, unless it is there already; what is not whole stays out."""
    try:
        manifest = read_manifest(directory)
    except KindredError:
        return
    if manifest is not None and manifest.kind == step.name and not store.holds(manifest):
        store.put(directory, link=not step.published)


def _note_use(store: Store, directory: Path) -> None:
    manifest = read_manifest(directory)
    if manifest is not None:
        store.note_use(manifest)
