"""Freshness by lineage, not by clocks: an artefact is fresh if its manifest says that what holds now made it.

What holds now: the settings the artefact depends on, the source closure of its step, and its inputs, which
must be fresh themselves. The chain is read from the manifests; the survey before a run looks at the files, too.
"""

import os
import shutil
import sys
import time
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from kindred.artefacts.folder import (
    MANIFEST,
    Made,
    Manifest,
    artefact_files,
    checksum_damage,
    read_manifest,
    size_damage,
    verify_content,
)
from kindred.artefacts.writing import manifest_text
from kindred.errors import KindredError
from kindred.file_hashes import FileHashes
from kindred.params import Params
from kindred.pipeline import STEPS, Step
from kindred.provenance import sidecar_damage
from kindred.sources import sources_hash

STAMPS = Path(".kindred/stamps")
CHECKED = Path(".kindred/checked")
MISSING = "it is missing"
INPUT = "its input"


class Lineage:
    """Judges artefacts against one set of params, as the sources and files are at this moment.

    Args:
        params: The experiment's parameters.
        contents: Whether files must have the checksums they were written with, besides the sizes. Each file is read
            once for that, and again only after something has written to it.
    """

    def __init__(self, params: Params, *, contents: bool = False) -> None:
        self.params = params
        self._contents = contents
        self._why_stale: dict[Path, str | None] = {}
        self._returned: dict[Path, str] = {}
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}
        self._sources: dict[str, str] = {}

    @cached_property
    def artefacts(self) -> dict[Path, tuple[Step, str]]:
        """Every artefact of the experiment by its folder: the step that makes it, and its identity."""
        return {
            step.path(identity): (step, identity)
            for step in STEPS.values()
            for identity in step.identities(self.params)
        }

    def settings(self, step: Step, identity: str) -> dict[str, Any]:
        """All settings that one artefact's bytes depend on."""
        key = (step.name, identity)
        if key not in self._settings:
            self._settings[key] = step.settings(self.params, identity)
        return self._settings[key]

    def sources(self, step: Step) -> str:
        """The hash of the code that the step runs."""
        if step.name not in self._sources:
            self._sources[step.name] = sources_hash(step.module)
        return self._sources[step.name]

    def made(self, step: Step, identity: str, inputs: dict[str, str]) -> Made:
        """What the manifest of a new artefact says of its origin."""
        return Made(
            kind=step.name,
            version=step.version,
            identity=identity,
            params=self.settings(step, identity),
            sources=self.sources(step),
            inputs=inputs,
        )

    def why_stale(self, directory: Path) -> str | None:
        """Why an artefact has to be made (anew), in words; None if it is fresh."""
        if directory not in self._why_stale:
            self._why_stale[directory] = self._judge(directory)
        return self._why_stale[directory]

    def _judge(self, directory: Path) -> str | None:
        if directory not in self.artefacts:
            return "it is no part of this experiment"
        step, identity = self.artefacts[directory]
        try:
            manifest = read_manifest(directory)
        except KindredError:
            return f"{directory / MANIFEST} is damaged, or was written by another version of kindred"
        if manifest is None:
            return f"{directory / MANIFEST} is missing" if artefact_files(directory) else MISSING
        if (manifest.kind, manifest.version, manifest.identity) != (step.name, step.version, identity):
            return (
                f"it is {manifest.kind} version {manifest.version} of {manifest.identity or 'the experiment'}"
            )
        difference = first_difference(manifest.params, self.settings(step, identity))
        if difference:
            return f"it was made with {difference}"
        if manifest.sources != self.sources(step):
            return f"the code of {step.module} has changed since it was made"
        return (
            size_damage(directory, manifest)
            or (self._content_damage(directory, manifest, step) if self._contents else None)
            or self._judge_inputs(manifest)
        )

    def _content_damage(self, directory: Path, manifest: Manifest, step: Step) -> str | None:
        if (directory / MANIFEST).read_bytes() != manifest_text(manifest).encode():
            return f"{directory / MANIFEST} differs from what was written"
        hashes = FileHashes(CHECKED / f"{directory}.json")
        damage = checksum_damage(directory, manifest, hashes.of)
        hashes.save()
        return damage or (sidecar_damage(directory, manifest) if step.sidecars else None)

    def _judge_inputs(self, manifest: Manifest) -> str | None:
        for name, content in manifest.inputs.items():
            if Path(name) not in self.artefacts:
                return f"it was made from {name}, which is no part of this experiment"
            stale = self.why_stale(Path(name))
            if stale:
                return _follows(name, stale)
            if self.content(Path(name)) != content:
                return f"it was made from another content of {name}, its input, than is there now"
        return None

    def content(self, directory: Path) -> str | None:
        """The content hash of an artefact if it is fresh, else None."""
        if self.why_stale(directory):
            return None
        if directory in self._returned:
            return self._returned[directory]
        manifest = read_manifest(directory)
        return manifest.content if manifest else None

    def returned(self, directory: Path, content: str) -> None:
        """Take an artefact for fresh from now on: it came back from the store (or would, in a rehearsal)."""
        self._why_stale[directory] = None
        self._returned[directory] = content

    def verified(self, directory: Path) -> Manifest:
        """The manifest of an input, once its lineage, sizes and checksums are found right.

        Raises:
            KindredError: the artefact is stale or damaged; the message says what it was made with.
        """
        if directory not in self.artefacts:
            raise KindredError(f"{directory} is no artefact of this experiment")
        stale = self.why_stale(directory)
        if stale:
            raise KindredError(f"{directory} cannot be used: {stale}; run snakemake to have it made anew")
        step, _ = self.artefacts[directory]
        return verify_content(directory, step.name, step.version)


def _follows(name: Path | str, reason: str) -> str:
    """The reason of what was made from an artefact that is itself stale."""
    return f"{INPUT} {name} is stale ({reason})"


def first_difference(recorded: Any, current: Any, key: str = "") -> str | None:
    """The first setting that differs, as 'windows.length = 30 (now 20)'; None if all agree."""
    if isinstance(recorded, dict) and isinstance(current, dict):
        for name in sorted(recorded.keys() | current.keys()):
            place = f"{key}.{name}" if key else name
            if name not in recorded:
                return f"no {place} (now {current[name]!r})"
            if name not in current:
                return f"{place} = {recorded[name]!r} (now there is none)"
            found = first_difference(recorded[name], current[name], place)
            if found:
                return found
        return None
    return None if recorded == current else f"{key} = {recorded!r} (now {current!r})"


def survey(lineage: Lineage) -> dict[Path, str]:
    """Bring the clocks in line with the lineage, so that Snakemake's mtime trigger agrees with it.

    Each artefact has a stamp among its rule's inputs: of time zero if the artefact is fresh, else rewritten
    with new content. Fresh artefacts whose times are out of order (pulled, checked out) are put in order.
    Returns the stale artefacts, with the reason of each.
    """
    stale = {}
    for directory in lineage.artefacts:
        reason = lineage.why_stale(directory)
        if reason:
            stale[directory] = reason
        _write_stamp(STAMPS / directory, fresh=reason is None)
    times: dict[Path, int] = {}  # in nanoseconds: seconds as a float would be rounded, now up, now down
    for directory in lineage.artefacts:
        if directory not in stale:
            _order_times(directory, lineage, times)
    return stale


def report(stale: dict[Path, str]) -> None:
    """Say on the terminal why artefacts are made anew: the causes alone, not what merely follows from them.

    What is missing is only worth a line if something that was made from it is there.
    """
    causes = defaultdict(list)
    for directory, reason in stale.items():
        missed = any(_follows(directory, MISSING) in other for other in stale.values())
        if missed if reason == MISSING else not reason.startswith(INPUT):
            causes[reason].append(directory)
    if MISSING in causes and not any(Path("cache").rglob(MANIFEST)):  # a fresh clone: git has the tables
        del causes[MISSING]
        print(
            "kindred: no cache here: all is computed (dvc pull brings it where there is storage)",
            file=sys.stderr,
        )
    for reason, directories in causes.items():
        more = f" and {len(directories) - 1} more" if len(directories) > 1 else ""
        place = "" if reason.startswith(str(directories[0])) else f"{directories[0]}{more}: "
        print(f"kindred: {place}{reason}; to be made anew", file=sys.stderr)


def _write_stamp(stamp: Path, *, fresh: bool) -> None:
    stamp.parent.mkdir(parents=True, exist_ok=True)
    if not fresh:
        # New content as well as a new time: Snakemake compares the checksums of small inputs.
        stamp.write_text(f"{time.time_ns()}\n")
    elif not stamp.exists() or stamp.stat().st_mtime != 0:
        stamp.touch()
        os.utime(stamp, (0, 0))


def _order_times(directory: Path, lineage: Lineage, times: dict[Path, int]) -> int:
    if directory in times:
        return times[directory]
    manifest = read_manifest(directory)
    if manifest is None:
        raise KindredError(f"{directory} was removed while its lineage was read; run again")
    needed = max((_order_times(Path(name), lineage, times) for name in manifest.inputs), default=0)
    step, identity = lineage.artefacts[directory]
    own = [directory / MANIFEST, directory / ".snakemake_timestamp", directory]
    clocks = [path for path in (*own, step.benchmark(identity)) if path.exists()]
    if min(path.stat().st_mtime_ns for path in clocks) < needed:
        _unlink_from_store(directory / MANIFEST)
        for path in clocks:
            os.utime(path, ns=(needed, needed))
    times[directory] = max(path.stat().st_mtime_ns for path in own if path.exists())
    return times[directory]


def _unlink_from_store(path: Path) -> None:
    """Replace a link into DVC's store by a file of its own: there, a time is everybody's, and its owner's to set."""
    if path.is_symlink() or path.stat().st_nlink > 1:
        # Not beside it, where what is left by a kill would count as a file of the artefact.
        copy = STAMPS / f"{path.name}.{os.getpid()}"
        shutil.copyfile(path, copy)
        copy.replace(path)
