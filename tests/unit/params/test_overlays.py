"""The shipped overlays need the hub to run; what can be checked without it is checked here."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kindred.params import Params, SaeLensSae, SparsifySae, check_files, load_params
from kindred.params.releases import find_release, release_names
from kindred.params.sites import Site
from kindred.params.sources import read_model

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
OVERLAYS = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))

# Of the overlays with a model of their own: the site of the SAEs, and the model's depth, width and positions as
# its hub config states them.
SITES = {
    "gpt2-small": Site("resid_post", 7),
    "pythia-160m": Site("mlp_out", 6),
    "gemma-2-2b": Site("resid_post", 12),
    "llama-3.2-1b": Site("resid_post", 11),
}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2-small": {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_positions": 1024},
    "pythia-160m": {
        "model_type": "gpt_neox",
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "max_position_embeddings": 2048,
    },
    "gemma-2-2b": {
        "model_type": "gemma2",
        "num_hidden_layers": 26,
        "hidden_size": 2304,
        "max_position_embeddings": 8192,
    },
    "llama-3.2-1b": {
        "model_type": "llama",
        "num_hidden_layers": 16,
        "hidden_size": 2048,
        "max_position_embeddings": 131072,
    },
}


def test_every_overlay_with_a_model_of_its_own_is_covered() -> None:
    assert {name for name in OVERLAYS if "model" in overlay(name)} == set(SITES)


def overlay(name: str) -> dict[str, Any]:
    return yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text())


def load(repository: Path, experiment: str) -> Params:
    return load_params(repository / "params.yaml", experiment=experiment, experiments=EXPERIMENTS)


@pytest.fixture(scope="module")
def directory() -> dict[str, Any]:
    """SAELens's directory, parsed whole: independent of how `releases` finds its way in it."""
    from importlib.util import find_spec

    spec = find_spec("sae_lens")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "pretrained_saes.yaml").read_text()
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def test_releases_are_found_as_a_whole_parse_finds_them(directory: dict[str, Any]) -> None:
    assert release_names() == list(directory)
    for name in ("gpt2-small-res-jb", next(iter(directory)), list(directory)[-1]):
        release = find_release(name)
        assert release is not None
        assert list(release.ids) == [str(sae["id"]) for sae in directory[name]["saes"]]
        assert release.model == directory[name]["model"]
    assert find_release("gpt2-small") is None


@pytest.mark.parametrize("experiment", SITES)
class TestOverlay:
    def test_it_is_valid_against_a_model_of_its_shape(
        self, repository: Path, tmp_path: Path, experiment: str, model_maker: Any
    ) -> None:
        params = load(repository, experiment)
        model_maker(tmp_path / params.model.source, **CONFIGS[experiment])
        check_files(
            params,
            root=tmp_path,
            path=repository / "params.yaml",
            experiments=EXPERIMENTS,
        )
        assert params.model.device == "cpu"
        assert params.pairs

    def test_its_saelens_names_are_known_and_read_the_site(
        self, repository: Path, experiment: str, directory: dict[str, Any]
    ) -> None:
        params = load(repository, experiment)
        for sae in params.saes.values():
            if isinstance(sae, SparsifySae):
                assert sae.hookpoint == "layers.6.mlp"
                continue
            assert isinstance(sae, SaeLensSae)
            if "/" in sae.release:
                assert f"blocks.{SITES[experiment].layer + 1}.hook_resid_pre_14336_topk_48" in sae.id
                continue
            known = directory[sae.release]
            assert known["model"] == experiment
            assert sae.id in {entry["id"] for entry in known["saes"]}
            release = find_release(sae.release)
            assert release is not None
            site = release.site(sae.id)
            assert site is not None
            assert site.canonical == SITES[experiment]


@pytest.mark.parametrize("experiment", OVERLAYS)
class TestAnyOverlay:
    def test_it_survives_the_way_through_json(self, repository: Path, experiment: str) -> None:
        params = load(repository, experiment)
        assert Params.model_validate_json(params.model_dump_json()) == params

    def test_it_sets_only_what_differs(self, repository: Path, experiment: str) -> None:
        base = yaml.safe_load((repository / "params.yaml").read_text())
        same = [
            f"{section}.{key}"
            for section, values in overlay(experiment).items()
            if section not in {"saes", "pairs"}
            for key, value in values.items()
            if base[section][key] == value
        ]
        # Said again on purpose: the device, which a reader will change, a context length taken from a paper, and the
        # layer of injection, which belongs to the model's depth.
        assert set(same) <= {"model.device", "tokens.context_length", "explanation.inject_layer"}


def test_configs_written_by_transformers_are_read(tmp_path: Path) -> None:
    from transformers import Gemma2Config, Gemma3Config, GPT2Config, GPTNeoXConfig, LlamaConfig

    configs = {
        "gpt2": GPT2Config(),
        "neox": GPTNeoXConfig(num_hidden_layers=12, hidden_size=768, max_position_embeddings=2048),
        "gemma2": Gemma2Config(),
        "llama": LlamaConfig(num_hidden_layers=16, hidden_size=2048, max_position_embeddings=131072),
        "gemma3": Gemma3Config(text_config={"num_hidden_layers": 34, "hidden_size": 2560}),
    }
    for name, config in configs.items():
        config.save_pretrained(tmp_path / name)
        (tmp_path / name / "pytorch_model.bin").touch()
        facts = read_model(tmp_path / name)
        text = config.get_text_config()
        assert facts.n_layers == text.num_hidden_layers
        assert facts.d_model == text.hidden_size
        assert facts.max_positions == text.max_position_embeddings
    assert read_model(tmp_path / "gpt2").n_layers == CONFIGS["gpt2-small"]["n_layer"]
    assert read_model(tmp_path / "gemma2").d_model == CONFIGS["gemma-2-2b"]["hidden_size"]
