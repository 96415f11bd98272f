"""Folders of SAE files, local or fetched from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from kindred.errors import KindredError


def local_folder(path: str, *, subfolder: str | None, revision: str | None) -> Path:
    """The folder itself where it is local, otherwise the hub's copy of it in the local cache.

    Args:
        path: a local folder, or a hub repository `owner/name`, or a folder in one, `owner/name/folder`.
        subfolder: a folder below `path`; None for `path` itself.
        revision: a branch, tag or commit of the hub; None for its default branch.

    Raises:
        KindredError: if it is neither a local folder nor to be had from the hub.
    """
    if Path(path).is_dir():
        if revision is not None:
            raise KindredError(f"revision is {revision!r}, but {path} is a local folder: set it to null")
        return Path(path, subfolder or "")
    owner, _, rest = path.partition("/")
    name, _, inner = rest.partition("/")
    below = "/".join(part for part in (inner, subfolder) if part)
    try:
        snapshot = snapshot_download(
            f"{owner}/{name}", revision=revision, allow_patterns=f"{below}/*" if below else None
        )
    except (HFValidationError, HfHubHTTPError, OSError, ValueError) as error:
        raise KindredError(f"{path} is not a local folder, and the hub did not give it: {error}") from error
    return Path(snapshot, below)
