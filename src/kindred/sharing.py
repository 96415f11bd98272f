"""One content under two names: by a reflink, else by a hard link that nobody may write through, else by a copy."""

import errno
import fcntl
import os
import shutil
import stat
from pathlib import Path

# Of linux/fs.h: let an open file share the blocks of another one until either is written to.
FICLONE = 0x40049409
READ_ONLY = 0o444
_WRITE_BITS = 0o222
# What a file system answers that has no such link, has no more of them, or does not give them to this user.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
_NO_REFLINK = (*_NO_LINK, errno.EINVAL, errno.ENOTTY, errno.EBADF)


def share(source: Path, target: Path, *, link: bool) -> str:
    """Give a new file the content of another one, and return how: "reflink", "hardlink" or "copy".

    A hard link is only made of a file that nobody may write to: the write bits of the source are removed for that,
    where the source has no other name yet. (The superuser may write all the same, so whoever uses the content
    compares it with its checksum.) A symbolic link is followed, and what it leads to keeps its mode.

    Args:
        source: The file.
        target: The new file; must not exist.
        link: Whether a hard link may be made, where there is no reflink.
    """
    if _reflink(source, target):
        return "reflink"
    if link and _hardlink(source, target):
        return "hardlink"
    shutil.copyfile(source, target)
    return "copy"


def _reflink(source: Path, target: Path) -> bool:
    with source.open("rb") as content, target.open("xb") as file:
        try:
            fcntl.ioctl(file.fileno(), FICLONE, content.fileno())
        except OSError as error:
            target.unlink()
            if error.errno not in _NO_REFLINK:
                raise
            return False
    return True


def _hardlink(source: Path, target: Path) -> bool:
    try:
        if _is_protected(source):
            os.link(source.resolve(), target)
            return True
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    return False


def _is_protected(path: Path) -> bool:
    """Whether nobody may write to a file, once that is forbidden if the file is ours alone."""
    found = path.stat()
    if not found.st_mode & _WRITE_BITS:
        return True
    if path.is_symlink() or found.st_nlink > 1:  # somebody else's as well: its mode is not ours to change
        return False
    path.chmod(stat.S_IMODE(found.st_mode) & ~_WRITE_BITS)
    return True
