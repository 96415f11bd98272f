"""The place in a model at which an SAE reads, from its name (TransformerLens or a module of transformers).

`kindred.models.hooks` says the same of a loaded model; this is for the planning of a workflow, without torch.
"""

import re
from dataclasses import dataclass

_HOOK_NAME = re.compile(r"blocks\.(\d+)\.hook_(resid_pre|resid_post|mlp_out|attn_out)")
_MODULE_NAME = re.compile(r"(?:.*\.)?(?:layers|h)\.(\d+)(?:\.(mlp|self_attn|attn|attention))?")

SUPPORTED = (
    "blocks.<layer>.hook_<resid_pre, resid_post, mlp_out or attn_out>, "
    "or a module such as layers.<layer>, layers.<layer>.mlp"
)


@dataclass(frozen=True)
class Site:
    """A place in the model: what is read (resid_pre, resid_post, mlp_out, attn_out), and of which block."""

    kind: str
    layer: int

    @property
    def canonical(self) -> "Site":
        """One name for one place: resid_pre of block L > 0 is resid_post of block L - 1."""
        return Site("resid_post", self.layer - 1) if self.kind == "resid_pre" and self.layer > 0 else self

    def __str__(self) -> str:
        return f"{self.kind} of block {self.layer}"


def parse_site(name: str) -> Site | None:
    """The site of a hook name or module name, or None for a place that is not supported.

    >>> parse_site("blocks.8.hook_resid_pre").canonical == parse_site("blocks.7.hook_resid_post").canonical
    True
    """
    if match := _HOOK_NAME.fullmatch(name):
        return Site(match[2], int(match[1]))
    if match := _MODULE_NAME.fullmatch(name):
        return Site(
            "resid_post" if match[2] is None else "mlp_out" if match[2] == "mlp" else "attn_out",
            int(match[1]),
        )
    return None


def site_within(text: str) -> Site | None:
    """The first hook name inside a longer name, such as an SAE's id; None if there is none."""
    match = _HOOK_NAME.search(text)
    return Site(match[2], int(match[1])) if match else None
