"""Releases and ids of pretrained SAEs that the installed SAELens knows, read without importing it.

The directory has 1.5 MB: to import SAELens or parse all of it takes seconds, to find one release milliseconds.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from kindred.errors import KindredError
from kindred.params.sites import Site, parse_site, site_within

_RELEASE_LINE = re.compile(r"^([^\s#][^\n]*):[ ]*$", re.MULTILINE)
_GEMMA_SCOPE_LAYER = re.compile(r"layer_(\d+)/")
# What Gemma Scope's releases read, by a part of their names (SAELens, get_gemma_2_config_from_hf).
_GEMMA_SCOPE_KINDS = {"-res": "resid_post", "-mlp": "mlp_out"}


@dataclass(frozen=True)
class Release:
    """One release of SAELens's directory."""

    name: str
    model: str
    ids: tuple[str, ...]
    conversion: str | None

    def site(self, sae_id: str) -> Site | None:
        """Where the SAE reads, as far as its id says it."""
        if self.conversion == "gemma_2" and (layer := _GEMMA_SCOPE_LAYER.match(sae_id)):
            kinds = [kind for part, kind in _GEMMA_SCOPE_KINDS.items() if part in self.name]
            return Site(kinds[0], int(layer[1])) if kinds else None
        return parse_site(sae_id) or site_within(sae_id)


@cache
def _directory() -> str:
    package = find_spec("sae_lens")
    if package is None or package.origin is None:
        raise KindredError("sae_lens is not installed; install kindred with its dependencies")
    return (Path(package.origin).parent / "pretrained_saes.yaml").read_text(encoding="utf-8")


def release_names() -> list[str]:
    """The names of all releases."""
    return _RELEASE_LINE.findall(_directory())


def find_release(name: str) -> Release | None:
    """The release of that name, or None."""
    text = _directory()
    start = re.search(rf"^{re.escape(name)}:[ ]*$", text, re.MULTILINE)
    if start is None:
        return None
    following = _RELEASE_LINE.search(text, start.end())
    block = text[start.start() : following.start() if following else len(text)]
    values: dict[str, Any] = yaml.load(block, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))[name]
    ids = tuple(str(sae["id"]) for sae in values["saes"])
    return Release(name, str(values["model"]), ids, values.get("conversion_func"))
