"""The light parse of hook names agrees with that of the hooks, which needs torch."""

import pytest

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.params.sites import Site, parse_site, site_within

NAMES = [
    "blocks.0.hook_resid_pre",
    "blocks.3.hook_resid_pre",
    "blocks.12.hook_resid_post",
    "blocks.3.hook_mlp_out",
    "blocks.3.hook_attn_out",
    "blocks.3.attn.hook_z",
    "blocks.3.hook_resid_mid",
    "blocks.3.hook_resid_pre_768",
    "model.layers.3",
    "layers.6.mlp",
    "gpt_neox.layers.2.attention",
    "transformer.h.3",
    "transformer.h.3.attn",
    "model.layers.1.self_attn",
    "model.language_model.layers.4.mlp",
    "h.3",
    "layers.x",
    "embed_tokens",
    "hook_embed",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_a_name_as_the_hooks_do(name: str) -> None:
    light = parse_site(name)
    try:
        full = HookPoint.parse(name)
    except KindredError:
        assert light is None
        return
    assert light == Site(full.kind, full.layer)
    assert light.canonical == Site(full.site.kind, full.site.layer)


def test_a_hook_name_is_found_within_an_id() -> None:
    assert site_within("Llama-3.2-1B_blocks.12.hook_resid_pre_14336_topk_48") == Site("resid_pre", 12)
    assert site_within("layer_12/width_16k/canonical") is None
