"""The content store: artefacts that were computed before, kept for when what made them holds again.

An entry is a folder with the files and the manifest of an artefact. Its name is a key: a hash of everything that the
bytes depend on (step, version, identity, settings, code), a hash of the content of its inputs, and its size in bytes.
Whatever goes wrong in the store costs time alone: an entry that is damaged or gone is computed again.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from kindred.artefacts.folder import (
    MANIFEST,
    SIDECAR,
    Made,
    Manifest,
    artefact_files,
    checksum_damage,
    file_sha256,
    read_manifest,
    size_damage,
)
from kindred.artefacts.writing import manifest_text, placing, remove_all_left_overs, retire, write_whole
from kindred.errors import KindredError, NoRoomError
from kindred.sharing import share

STORE = Path(".kindred/store")
MEGABYTE = 1_000_000
DEFAULT_LIMIT_MB = 20_000
_SETTINGS = "settings.json"
_NAME = re.compile(r"(?P<origin>[0-9a-f]{32})-(?P<inputs>[0-9a-f]{32})-(?P<n_bytes>\d+)")


class StoreSettings(BaseModel):
    """What the last run was told about the store.

    Attributes:
        limit_mb: How large the store may grow, in megabytes; 0 turns it off.
        takes: Whether jobs take artefacts from it; not where the user forces them to run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    limit_mb: int = DEFAULT_LIMIT_MB
    takes: bool = True

    @property
    def gives(self) -> bool:
        """Whether artefacts come back from the store."""
        return self.takes and self.limit_mb > 0


@dataclass(frozen=True)
class Entry:
    """One artefact in the store.

    Attributes:
        path: Its folder.
        n_bytes: Of all its files, without the manifest.
        used_ns: When it was put or taken last, in nanoseconds.
    """

    path: Path
    n_bytes: int
    used_ns: int


class Store:
    """The artefacts under one folder, which many processes may use at once.

    Args:
        root: The folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def settings(self) -> StoreSettings:
        """What the last run was told; the defaults before the first one, and no store where it cannot be read."""
        try:
            return StoreSettings.model_validate_json((self.root / _SETTINGS).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return StoreSettings()
        except OSError:
            return StoreSettings(limit_mb=0)

    def configure(self, settings: StoreSettings) -> None:
        """Remember what this run is told about the store."""
        if self.settings == settings and (self.root / _SETTINGS).exists():
            return
        write_whole(self.root / _SETTINGS, settings.model_dump_json().encode() + b"\n")

    @property
    def limit(self) -> int:
        """How large the store may grow, in bytes."""
        return self.settings.limit_mb * MEGABYTE

    def entries(self) -> list[Entry]:
        """All entries, those first that were not used for longest."""
        found = []
        for path in _folders(self.root):
            named = _NAME.fullmatch(path.name)
            try:
                if named:
                    found.append(Entry(path, int(named["n_bytes"]), path.stat().st_mtime_ns))
            except FileNotFoundError:  # dropped meanwhile
                continue
        return sorted(found, key=lambda entry: (entry.used_ns, entry.path.name))

    def candidates(self, made: Made) -> Iterator[Manifest]:
        """The manifests of the entries that `made` describes but for its inputs, which may be any."""
        for path in self.root.glob(f"{_origin(made)}-*"):
            manifest = _manifest(path)
            if manifest is not None and _origin(manifest) == _origin(made):
                yield manifest

    def holds(self, manifest: Manifest) -> bool:
        """Whether there is an entry of an artefact."""
        return self._entry(manifest).exists()

    def note_use(self, manifest: Manifest) -> None:
        """Let the entry of an artefact, if there is one, count as used now."""
        with suppress(OSError):
            os.utime(self._entry(manifest))

    def put(self, folder: Path, *, link: bool) -> bool:
        """Keep the sealed artefact in a folder, in place of an older entry of the same key; say whether it is kept.

        What cannot be kept (it is larger than the limit, the disk is full) is left out: it can be computed again.

        Args:
            folder: With the manifest in it. Its files may lose their write bits.
            link: Whether the entry may share its files with the folder by hard links.
        """
        limit = self.limit
        try:
            manifest = read_manifest(folder)
            if limit == 0 or manifest is None or _n_bytes(manifest) > limit or size_damage(folder, manifest):
                return False
            entry = self._entry(manifest)
            with placing(entry) as partial:
                _copy(folder, partial, manifest, link=link)
            for other in set(self.root.glob(f"{_key(manifest)}-*")) - {entry}:
                retire(other)  # of another size, so one of the two is wrong, and this one was made last
        except (OSError, KindredError) as error:
            logging.debug("%s is not kept in the store: %s", folder, error)
            return False
        self.trim(limit)
        return True

    def take(
        self,
        manifest: Manifest,
        directory: Path,
        *,
        link: bool,
        finish: Callable[[Path], None] = lambda folder: None,
    ) -> bool:
        """Put the entry of a manifest in place, if every byte of it is as it was written; say whether that was done.

        Args:
            manifest: As `candidates` gave it.
            directory: The artefact's place.
            link: Whether the artefact may share its files with the entry by hard links.
            finish: Called with the folder before it is put in place.
        """
        entry = self._entry(manifest)
        try:
            with placing(directory) as partial:
                _copy(entry, partial, manifest, link=link)
                damage = size_damage(partial, manifest) or checksum_damage(partial, manifest, file_sha256)
                if damage:
                    raise KindredError(damage)
                finish(partial)
            self.note_use(manifest)
        except (OSError, NoRoomError) as error:
            logging.debug("%s is not taken from the store: %s", directory, error)
            return False
        except KindredError as error:
            logging.debug("%s is dropped from the store: %s", entry.name, error)
            retire(entry)
            return False
        return True

    def trim(self, limit: int) -> int:
        """Drop the entries not used for longest until at most `limit` bytes are left; return how many were dropped."""
        entries = self.entries()
        excess = sum(entry.n_bytes for entry in entries) - limit
        dropped = 0
        for entry in entries:
            if excess - dropped <= 0:
                break
            retire(entry.path)
            dropped += entry.n_bytes
        return dropped

    def make_room(self, n_bytes: int, place: Path) -> bool:
        """Drop the entries not used for longest until so much of the disk of `place` is free; say whether any was.

        Nothing is dropped if the store lies on another disk.
        """
        if not self.root.exists() or self.root.stat().st_dev != _existing(place).stat().st_dev:
            return False
        dropped = False
        for entry in self.entries():
            if _free(self.root) >= n_bytes:
                break
            retire(entry.path)
            dropped = True
        return dropped

    def remove_left_overs(self, *, of_all_machines: bool) -> None:
        """Remove what killed processes left half-put or half-dropped."""
        remove_all_left_overs(self.root, of_all_machines=of_all_machines)

    def _entry(self, manifest: Manifest) -> Path:
        return self.root / f"{_key(manifest)}-{_n_bytes(manifest)}"


def _copy(folder: Path, partial: Path, manifest: Manifest, *, link: bool) -> None:
    """Copy or link an artefact's files, its sidecars and its manifest; the two last always as files of their own."""
    for path in (*artefact_files(folder), *folder.glob(f"*{SIDECAR}")):
        target = partial / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        share(path, target, link=link and not path.name.endswith(SIDECAR))
    (partial / MANIFEST).write_text(manifest_text(manifest))


def _key(made: Made) -> str:
    return f"{_origin(made)}-{_digest(made.inputs)}"


def _n_bytes(manifest: Manifest) -> int:
    return sum(record.size for record in manifest.files.values())


def _origin(made: Made) -> str:
    return _digest(made.model_dump(include=Made.model_fields.keys() - {"inputs"}))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _manifest(entry: Path) -> Manifest | None:
    try:
        return read_manifest(entry)
    except (OSError, KindredError):
        return None


def _folders(root: Path) -> Iterator[Path]:
    try:
        with os.scandir(root) as found:
            yield from [Path(entry.path) for entry in found if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return


def _existing(path: Path) -> Path:
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def _free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
