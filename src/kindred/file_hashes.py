"""SHA-256 of files, remembered under size and times, so that what did not change is not read again."""

import json
import time
from contextlib import suppress
from pathlib import Path

from kindred.artefacts.folder import file_sha256
from kindred.artefacts.writing import write_whole

# Size, time of the content and time of the entry: the last one cannot be set, so `cp -p` and `touch` hide nothing. And
# the file's own number: a link may be turned to a file of the same size that was written within the same tick.
Signature = tuple[int, int, int, int]
# A write within the same tick of the file system's clock would leave the times as they are: what was written to
# just now is hashed again the next time. (The coarsest clocks tick every two seconds.)
SETTLED_NANOSECONDS = 2_000_000_000


class FileHashes:
    """Hashes of files with a memory in a small file, which only saves time: lost or unwritable, files are hashed again.

    Args:
        memory: The file to remember in.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known = _read(memory)
        self._seen: dict[str, tuple[Signature, str]] = {}

    def of(self, path: Path) -> str:
        """SHA-256 of the content of a file."""
        stat = path.stat()
        settled = time.time_ns() - stat.st_ctime_ns > SETTLED_NANOSECONDS
        signature = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        known = self._known.get(str(path))
        digest = known[1] if known is not None and known[0] == signature else file_sha256(path)
        if settled:
            self._seen[str(path)] = (signature, digest)
        return digest

    def save(self, *, keep_others: bool = False) -> None:
        """Remember the files that were asked for, and the others of before if `keep_others`."""
        remembered = self._known | self._seen if keep_others else self._seen
        if remembered == self._known:
            return
        # A full disk, or a folder that is only to be read: then the next one hashes again.
        with suppress(OSError):
            write_whole(self._memory, json.dumps(remembered, indent=0, sort_keys=True).encode())


def _read(memory: Path) -> dict[str, tuple[Signature, str]]:
    try:
        stored = json.loads(memory.read_text())
        return {
            path: ((int(size), int(content), int(entry), int(number)), str(digest))
            for path, ((size, content, entry, number), digest) in stored.items()
        }
    except (FileNotFoundError, AttributeError, TypeError, ValueError):
        return {}
