"""What the parameters name on disk is checked by configs and headers: depth, widths, sites, missing files."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindred.errors import KindredError
from kindred.params import check_files, load_params

Values = dict[str, Any]
Write = Callable[[Values], Path]
Maker = Callable[..., None]


def problems(write: Write, values: Values) -> list[str]:
    params = load_params(write(values))
    try:
        check_files(params)
    except KindredError as error:
        return str(error).splitlines()
    return []


def test_what_is_all_there_passes_in_a_moment(write: Write, values: Values, world: Path) -> None:
    started = time.process_time()
    assert problems(write, values) == []
    assert time.process_time() - started < 0.3


class TestModel:
    @pytest.mark.parametrize(
        ("section", "key", "value", "line"),
        [
            ("explanation", "inject_layer", 6,
             "explanation.inject_layer = 6: beyond the 6 layers of models/docs-lm (allowed: an integer >= 0 and < 6)"),
            ("explanation", "probe_layer", 9,
             "explanation.probe_layer = 9: beyond the 6 layers of models/docs-lm (allowed: an integer >= 0 and < 6)"),
            ("tokens", "context_length", 257,
             "tokens.context_length = 257: longer than the 256 positions of models/docs-lm "
             "(allowed: an integer >= 2 and <= 256)"),
            ("model", "source", "models/docs-ln",
             'model.source = "models/docs-ln": no such folder; did you mean models/docs-lm? '
             "(allowed: an existing folder; `dvc pull` fetches those of models/)"),
            ("model", "source", "./here",
             'model.source = "./here": no such folder; did you mean models? (allowed: an existing folder)'),
            ("model", "source", "/no/such/place",
             'model.source = "/no/such/place": no such folder (allowed: an existing folder)'),
        ],
    )  # fmt: skip
    def test_a_wrong_value_is_named(
        self, write: Write, values: Values, world: Path, section: str, key: str, value: object, line: str
    ) -> None:
        values[section][key] = value
        assert problems(write, values) == [f"params.yaml: {line}"]

    def test_a_revision_of_a_local_folder_is_refused(
        self, write: Write, values: Values, world: Path, sae_maker: Maker
    ) -> None:
        sae_maker(world / "sparse/layers.2", "blocks.2.hook_resid_post")
        values["model"]["revision"] = "main"
        values["saes"]["s"] = {
            "loader": "sparsify",
            "path": "sparse",
            "hookpoint": "layers.2",
            "revision": "v1",
        }
        told = problems(write, values)
        assert (
            'model.revision = "main": models/docs-lm is a local folder, which has no revisions (allowed: null)'
            in told[0]
        )
        assert any('saes.s.revision = "v1": sparse is a local folder' in line for line in told)
        values["model"]["source"], values["saes"]["s"]["path"] = "org/model", "org/saes"
        assert not any("revision" in line for line in problems(write, values))

    @pytest.mark.parametrize("name", ["gpt2", "openai-community/gpt2"])
    def test_a_hub_name_is_left_to_loading(
        self, write: Write, values: Values, world: Path, name: str
    ) -> None:
        values["model"]["source"] = name
        values["explanation"]["inject_layer"] = 99
        assert problems(write, values) == []

    def test_missing_files_are_named(self, write: Write, values: Values, world: Path) -> None:
        folder = world / "models/docs-lm"
        (folder / "model.safetensors").unlink()
        assert "models/docs-lm holds no weights (allowed: model.safetensors," in problems(write, values)[0]
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
        (folder / "one.safetensors").touch()
        assert (
            "lacks weights that model.safetensors.index.json lists: two.safetensors"
            in problems(write, values)[0]
        )
        (folder / "two.safetensors").touch()
        assert problems(write, values) == []
        (folder / "config.json").write_text("{")
        assert "models/docs-lm/config.json is not valid JSON" in problems(write, values)[0]
        (folder / "config.json").unlink()
        assert problems(write, values) == [
            'params.yaml: model.source = "models/docs-lm": models/docs-lm/config.json is missing'
        ]

    @pytest.mark.parametrize("place", ["../elsewhere/one.safetensors", "/elsewhere/one.safetensors"])
    def test_weights_outside_of_the_folder_are_refused(
        self, write: Write, values: Values, world: Path, place: str
    ) -> None:
        folder = world / "models/docs-lm"
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": place}}))
        (world / "embedder/0").mkdir(parents=True)
        (world / "embedder/0/model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": place}})
        )
        values["scoring"]["embedder"] = "embedder"
        told = problems(write, values)
        for key, line in zip(("model.source", "scoring.embedder"), told, strict=True):
            assert line.startswith(f"params.yaml: {key} = ")
            assert f"names weights outside of the folder: {place}; put all files into it" in line

    def test_a_file_is_no_folder(self, write: Write, values: Values, world: Path) -> None:
        values["model"]["source"] = values["scoring"]["embedder"] = "models/docs-lm/config.json"
        values["corpus"] |= {"source": "hf_dataset", "path": "models/docs-lm/config.json"}
        values["saes"]["f"] = {"loader": "sparsify", "path": "models/docs-lm/config.json"}
        for key in ("model.source", "saes.f.path", "scoring.embedder", "corpus.path"):
            start = f'params.yaml: {key} = "models/docs-lm/config.json": a file, not a folder'
            assert any(line.startswith(start) for line in problems(write, values)), key

    def test_a_config_without_depth_is_named(self, write: Write, values: Values, world: Path) -> None:
        (world / "models/docs-lm/config.json").write_text("{}")
        assert "holds none of num_hidden_layers, n_layer" in problems(write, values)[0]


class TestSae:
    def test_a_missing_folder_offers_its_neighbour(self, write: Write, values: Values, world: Path) -> None:
        values["saes"]["docs-1"]["path"] = "models/saes/doc-1"
        assert problems(write, values) == [
            'params.yaml: saes.docs-1.path = "models/saes/doc-1": no such folder; did you mean models/saes/docs-1? '
            "(allowed: an existing folder; `dvc pull` fetches those of models/)"
        ]

    def test_a_layer_beyond_the_model_is_named(
        self, write: Write, values: Values, world: Path, sae_maker: Maker
    ) -> None:
        sae_maker(world / "deep", "blocks.6.hook_mlp_out")
        values["saes"]["deep"] = {"loader": "folder", "path": "deep"}
        assert problems(write, values) == [
            'params.yaml: saes.deep.path = "deep": reads mlp_out of block 6, beyond the 6 layers of models/docs-lm '
            "(allowed: blocks 0 to 5)"
        ]

    def test_another_width_than_the_model_s_is_named(
        self, write: Write, values: Values, world: Path, sae_maker: Maker
    ) -> None:
        sae_maker(world / "wide", "blocks.3.hook_resid_pre", d_in=12)
        values["saes"]["wide"] = {"loader": "folder", "path": "wide"}
        values["pairs"] = {"p": ["docs-0", "wide"]}
        assert problems(write, values) == [
            'params.yaml: saes.wide.path = "wide": an SAE of width 12, where models/docs-lm has 8 '
            "(allowed: SAEs of width 8)",
            'params.yaml: pairs.p = ["docs-0", "wide"]: two widths of model: docs-0 has 8, wide has 12 '
            "(allowed: two SAEs on one model)",
        ]

    def test_the_input_of_a_block_is_the_output_of_the_one_before(
        self, write: Write, values: Values, world: Path, sae_maker: Maker
    ) -> None:
        sae_maker(world / "same", "blocks.2.hook_resid_post", old=True)
        sae_maker(world / "module", "model.layers.2")
        sae_maker(world / "other", "blocks.3.hook_resid_post")
        for name in ("same", "module", "other"):
            values["saes"][name] = {"loader": "folder", "path": name}
        values["pairs"] = {"p": ["docs-0", "same"], "q": ["docs-0", "module"], "r": ["docs-0", "other"]}
        assert problems(write, values) == [
            'params.yaml: pairs.r = ["docs-0", "other"]: two sites: docs-0 reads resid_pre of block 3, '
            "other reads resid_post of block 3 (allowed: two SAEs on one site of the model)"
        ]

    def test_a_place_that_is_not_supported_is_named(
        self, write: Write, values: Values, world: Path, sae_maker: Maker
    ) -> None:
        sae_maker(world / "odd", "blocks.3.attn.hook_z")
        values["saes"]["odd"] = {"loader": "folder", "path": "odd"}
        [line] = problems(write, values)
        assert (
            "odd/cfg.json names the hook point blocks.3.attn.hook_z, which is not supported (allowed: blocks."
            in line
        )

    def test_damaged_weights_are_named(self, write: Write, values: Values, world: Path) -> None:
        weights = world / "models/saes/docs-0/sae_weights.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1])
        assert "cut off" in problems(write, values)[0]
        weights.write_bytes(whole[:20])
        assert "is no safetensors file, or cut off" in problems(write, values)[0]
        weights.write_bytes(b"")
        assert "is no safetensors file, or cut off" in problems(write, values)[0]
        for header in (
            b"[]",
            b'{"W_dec": {"a": 1}}',
            b'{"W_dec": {"data_offsets": [0, 0], "shape": 3}}',
            b'{"W_dec": 3}',
        ):
            weights.write_bytes(len(header).to_bytes(8, "little") + header)
            assert "is no safetensors file, or cut off" in problems(write, values)[0]
        header = b'{"W_dec": {"data_offsets": [0, 0], "shape": []}}'
        weights.write_bytes(len(header).to_bytes(8, "little") + header)
        assert "has a decoder of 0 dimensions" in problems(write, values)[0]
        weights.unlink()
        assert "models/saes/docs-0/sae_weights.safetensors is missing" in problems(write, values)[0]

    def test_a_config_at_odds_with_the_weights_is_named(
        self, write: Write, values: Values, world: Path
    ) -> None:
        config = world / "models/saes/docs-0/cfg.json"
        config.write_text(config.read_text().replace('"d_in": 8', '"d_in": 12'))
        assert "has a decoder of width 8 where its config says 12" in problems(write, values)[0]

    def test_another_number_of_features_than_the_config_says_is_named(
        self, write: Write, values: Values, world: Path
    ) -> None:
        config = world / "models/saes/docs-0/cfg.json"
        content = json.loads(config.read_text())
        config.write_text(json.dumps({**content, "d_sae": content["d_sae"] + 1}))
        expected = f"features where its config says {content['d_sae'] + 1}"
        assert expected in problems(write, values)[0]

    def test_sparsify_keeps_one_folder_for_each_hookpoint(
        self, write: Write, values: Values, world: Path, sae_maker: Maker
    ) -> None:
        sae_maker(world / "sp/layers.2", "ignored")
        (world / "sp/layers.2/sae_weights.safetensors").rename(world / "sp/layers.2/sae.safetensors")
        values["saes"]["sp"] = {"loader": "sparsify", "path": "sp", "hookpoint": "layers.2"}
        values["pairs"] = {"p": ["docs-0", "sp"]}
        assert problems(write, values) == []
        values["saes"]["sp"] = {"loader": "sparsify", "path": "sp/layers.2"}
        assert problems(write, values) == []
        values["saes"]["sp"] = {"loader": "sparsify", "path": "sp", "hookpoint": "layers.9"}
        assert "holds no folder layers.9 (sub-folders: layers.2)" in problems(write, values)[0]

    def test_a_batch_topk_checkpoint_is_read_by_its_config(
        self, write: Write, values: Values, world: Path
    ) -> None:
        folder = world / "ckpt"
        folder.mkdir()
        (folder / "config.json").write_text(
            json.dumps({"act_size": 8, "hook_point": "blocks.4.hook_resid_pre"})
        )
        values["saes"]["b"] = {"loader": "batch_topk", "path": "ckpt"}
        values["pairs"] = {"p": ["docs-0", "b"]}
        assert "ckpt/sae.pt is missing" in problems(write, values)[0]
        (folder / "sae.pt").touch()
        assert "b reads resid_pre of block 4" in problems(write, values)[0]
        values["saes"]["b"]["hook_point"] = "blocks.2.hook_resid_post"
        assert problems(write, values) == []

    def test_a_hub_sae_is_checked_as_far_as_its_name_goes(
        self, write: Write, values: Values, world: Path
    ) -> None:
        values["saes"]["hub"] = {"loader": "sparsify", "path": "org/repo", "hookpoint": "layers.2.mlp"}
        values["pairs"] = {"p": ["docs-0", "hub"]}
        assert "hub reads mlp_out of block 2" in problems(write, values)[0]
        values["saes"]["hub"]["hookpoint"] = "layers.2"
        assert problems(write, values) == []
        values["saes"]["hub"]["hookpoint"] = "embed_tokens"
        assert 'saes.hub.hookpoint = "embed_tokens": not a supported hook point' in problems(write, values)[0]
        for outside in ("../other/layers.2", "/other/layers.2"):
            values["saes"]["hub"]["hookpoint"] = outside
            assert f'saes.hub.hookpoint = "{outside}": leads out of the SAE' in problems(write, values)[0]
        values["saes"]["hub"] = {"loader": "sparsify", "path": "a/b/c"}
        assert 'saes.hub.path = "a/b/c": no such folder' in problems(write, values)[0]


class TestRelease:
    @pytest.mark.parametrize(
        ("release", "sae_id", "expected"),
        [
            ("gpt2-small-res-jbb", "blocks.3.hook_resid_pre",
             'release = "gpt2-small-res-jbb": unknown to the installed SAELens; did you mean gpt2-small-res-jb?'),
            ("gpt2-small-res-jb", "blocks.8.resid_pre",
             'id = "blocks.8.resid_pre": not in release gpt2-small-res-jb; did you mean blocks.8.hook_resid_pre? '
             "(allowed: blocks.0.hook_resid_pre, "),
            ("gpt2-small-res-jb", "blocks.8.hook_resid_pre",
             'id = "blocks.8.hook_resid_pre": reads resid_pre of block 8, beyond the 6 layers of models/docs-lm'),
        ],
    )  # fmt: skip
    def test_an_unknown_name_offers_the_nearest(
        self, write: Write, values: Values, world: Path, release: str, sae_id: str, expected: str
    ) -> None:
        values["saes"]["s"] = {"loader": "sae_lens", "release": release, "id": sae_id}
        [line] = problems(write, values)
        assert line.startswith(f"params.yaml: saes.s.{expected}")


class TestOtherPaths:
    def test_a_missing_corpus_folder_is_named(self, write: Write, values: Values, world: Path) -> None:
        values["corpus"] |= {"source": "text_files", "path": "texts"}
        assert problems(write, values) == [
            'params.yaml: corpus.path = "texts": no such folder; did you mean models? (allowed: an existing folder)'
        ]
        (world / "texts").mkdir()
        assert problems(write, values) == []

    @pytest.mark.parametrize("folder", [".", "../project", "/", "texts/up"])
    def test_a_folder_that_holds_the_project_is_refused(
        self, write: Write, values: Values, world: Path, folder: str
    ) -> None:
        (world / "texts").mkdir()
        (world / "texts" / "up").symlink_to(world)
        values["corpus"] |= {"source": "text_files", "path": folder.replace("../project", f"../{world.name}")}
        [line] = problems(write, values)
        assert "corpus.path = " in line
        assert ": holds this project, which every run changes (allowed: a folder that" in line
        for name in ("cache", "results"):
            (world / name).mkdir()
        [line] = problems(write, values)
        assert "holds cache/ and results/ of this project, which every run changes" in line

    @pytest.mark.parametrize("written", ["cache", "results", "logs", ".kindred", "src/kindred.egg-info"])
    def test_a_folder_that_the_project_writes_is_refused(
        self, write: Write, values: Values, world: Path, written: str
    ) -> None:
        (world / written / "inner").mkdir(parents=True)
        (world / "texts").mkdir()
        (world / "texts" / "a.txt").write_text("text")
        values["corpus"] |= {"source": "text_files", "path": f"{written}/inner"}
        assert f"lies in {written}/ of this project" in problems(write, values)[0]
        (world / "texts" / "link").symlink_to(world / written)
        values["corpus"]["path"] = "texts"
        assert f"holds {written}/ of this project" in problems(write, values)[0]
        (world / "texts" / "link").unlink()
        assert problems(write, values) == []

    def test_models_saes_and_embedders_are_folders_like_any_other(
        self, write: Write, values: Values, world: Path
    ) -> None:
        (world / "cache").mkdir()
        for folder in ("models/docs-lm", "models/saes/docs-0", "embedder"):
            (world / folder).mkdir(exist_ok=True)
            (world / folder / "cache").symlink_to(world / "cache")
        values["scoring"]["embedder"] = "./embedder"
        keys = [line.split(" ")[1] for line in problems(write, values)]
        assert keys == ["model.source", "saes.docs-0.path", "scoring.embedder"]

    @pytest.mark.parametrize(
        ("path", "reason"),
        [("x" * 5000, "File name too long"), ("a\0b", "embedded null byte"), ("ring/x", "Too many levels")],
    )
    def test_a_path_that_cannot_be_looked_at_is_named(
        self, write: Write, values: Values, world: Path, path: str, reason: str
    ) -> None:
        (world / "ring").symlink_to("ring")
        values["corpus"] |= {"source": "text_files", "path": path}
        values["model"]["source"] = values["scoring"]["embedder"] = path
        values["saes"]["docs-0"]["path"] = path
        found = problems(write, values)
        assert [line.split(" ")[1] for line in found] == [
            "model.source",
            "saes.docs-0.path",
            "corpus.path",
            "scoring.embedder",
        ]
        assert all(f"cannot be looked at: {reason}" in line for line in found)

    def test_a_folder_that_cannot_be_listed_is_named(
        self, write: Write, values: Values, world: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path) -> None:
            raise PermissionError(13, "Permission denied")

        (world / "texts").mkdir()
        values["corpus"] |= {"source": "text_files", "path": "texts"}
        monkeypatch.setattr("kindred.folders.os.scandir", refuse)
        assert "texts: cannot be listed (Permission denied)" in "".join(problems(write, values))

    def test_a_missing_embedder_folder_is_named(self, write: Write, values: Values, world: Path) -> None:
        values["scoring"]["embedder"] = "./embedder"
        assert 'scoring.embedder = "./embedder": no such folder' in problems(write, values)[0]


def test_the_overlay_is_named_where_it_holds_the_key(write: Write, values: Values, world: Path) -> None:
    Path("experiments").mkdir()
    Path("experiments/deep.yaml").write_text("explanation: {inject_layer: 6}\n")
    params = load_params(write(values), experiment="deep")
    with pytest.raises(KindredError, match=r"^experiments/deep.yaml: explanation.inject_layer = 6: beyond"):
        check_files(params)
