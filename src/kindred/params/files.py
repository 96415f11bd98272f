"""Checks of the parameters against the models and SAEs they name, without torch and without a network."""

from collections.abc import Iterator
from pathlib import Path

from kindred.params.loading import EXPERIMENTS, origins_of
from kindred.params.places import place_problems, unreachable_problems
from kindred.params.problems import Key, Problem, did_you_mean, nearest, refuse
from kindred.params.releases import find_release, release_names
from kindred.params.saes import FolderSae, SaeLensSae, SaeParams
from kindred.params.sections import Params
from kindred.params.sites import SUPPORTED, parse_site, site_within
from kindred.params.sources import (
    ModelFacts,
    SaeFacts,
    SourceError,
    check_embedder,
    read_model,
    read_sae,
)

# The folder of shipped models: a missing folder below it is no hub name, though it looks like one.
SHIPPED = "models"


def check_files(
    params: Params,
    *,
    root: Path = Path(),
    path: Path = Path("params.yaml"),
    experiments: Path = EXPERIMENTS,
) -> None:
    """Check what the parameters name: local folders by their configs, SAELens releases by its directory.

    A hub name that is no local folder is checked as far as its name goes, and the rest when it is loaded.

    Args:
        params: the loaded parameters.
        root: the folder that paths in the parameters are relative to.
        path: the file that the parameters were read from, for messages.
        experiments: the folder of overlays, for messages.

    Raises:
        KindredError: one line per problem: a path that is not there, lacks files or is written to by the project, a
            revision of a local folder, an unknown release or id, a layer beyond the model's depth, a context beyond
            its positions, an SAE of another width than the model, a pair on two sites.
    """
    origins = origins_of(params, path, experiments)
    refuse(unreachable_problems(params, root), origins)
    problems: list[Problem] = []
    model = _model(params, root, problems)
    saes = {name: _sae(name, entry, root, problems) for name, entry in params.saes.items()}
    if model is not None:
        problems += _against_model(params, model, saes)
    problems += _pairs(params, saes)
    problems += _other_paths(params, root)
    problems += place_problems(params, root)
    refuse(problems, origins)


def looks_local(source: str) -> bool:
    """Whether a source can only be meant as a local path: it is not of the forms `name` or `org/name`."""
    return source.startswith((".", "/", "~", f"{SHIPPED}/")) or source.count("/") > 1 or "\\" in source


def _missing_folder(key: Key, source: str, root: Path) -> Problem:
    parent = root / Path(source).parent
    beside = sorted(entry.name for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []
    found = str(Path(source).parent / nearest(Path(source).name, beside)) if beside else ""
    hint = f"; did you mean {found}?" if found else ""
    advice = f"; `dvc pull` fetches those of {SHIPPED}/" if source.startswith(f"{SHIPPED}/") else ""
    return Problem(key, source, f"no such folder{hint}", f"an existing folder{advice}")


def _no_folder(key: Key, source: str, root: Path, *, is_local: bool) -> Iterator[Problem]:
    """What is wrong with a source that is no folder; nothing if it may be the name of something on a hub."""
    if (root / source).exists():
        yield Problem(key, source, "a file, not a folder", "an existing folder")
    elif is_local:
        yield _missing_folder(key, source, root)


def _model(params: Params, root: Path, problems: list[Problem]) -> ModelFacts | None:
    key, source = ("model", "source"), params.model.source
    if not (root / source).is_dir():
        problems += _no_folder(key, source, root, is_local=looks_local(source))
        return None
    problems += _revision(("model", "revision"), params.model.revision, source)
    try:
        return read_model(root / source)
    except SourceError as error:
        problems.append(Problem(key, source, str(error)))
        return None


def _sae(name: str, entry: SaeParams, root: Path, problems: list[Problem]) -> SaeFacts:
    if isinstance(entry, SaeLensSae):
        return _sae_lens(name, entry, problems)
    inner = getattr(entry, "hookpoint", None)
    if inner is not None and (Path(inner).is_absolute() or ".." in Path(inner).parts):
        problems.append(
            Problem(("saes", name, "hookpoint"), inner, "leads out of the SAE's path", "a folder below it")
        )
        return SaeFacts()
    key = ("saes", name, "path")
    folder = root / entry.path
    if folder.is_dir():
        problems += _revision(("saes", name, "revision"), getattr(entry, "revision", None), entry.path)
        try:
            return read_sae(folder, entry)
        except SourceError as error:
            problems.append(Problem(key, entry.path, str(error)))
        return SaeFacts()
    is_local = isinstance(entry, FolderSae) or looks_local(entry.path)
    problems += _no_folder(key, entry.path, root, is_local=is_local)
    if isinstance(entry, FolderSae) or is_local or folder.exists():
        return SaeFacts()
    hook, field = (
        (entry.hookpoint, "hookpoint") if entry.loader == "sparsify" else (entry.hook_point, "hook_point")
    )
    if hook is not None and parse_site(hook) is None:
        problems.append(Problem(("saes", name, field), hook, "not a supported hook point", SUPPORTED))
    return SaeFacts(parse_site(hook) if hook is not None else None)


def _revision(key: Key, revision: str | None, source: str) -> Iterator[Problem]:
    if revision is not None:
        yield Problem(key, revision, f"{source} is a local folder, which has no revisions", "null")


def _sae_lens(name: str, entry: SaeLensSae, problems: list[Problem]) -> SaeFacts:
    release = find_release(entry.release)
    if release is None and "/" in entry.release:
        # SAELens also takes a hub repository in its own format for a release, and a folder in it for the id.
        return SaeFacts(site_within(entry.id))
    if release is None:
        fault = "unknown to the installed SAELens" + did_you_mean(entry.release, release_names())
        problems.append(
            Problem(("saes", name, "release"), entry.release, fault, "its releases, or org/repository")
        )
        return SaeFacts()
    if entry.id not in release.ids:
        fault = f"not in release {release.name}" + did_you_mean(entry.id, release.ids)
        some = ", ".join(release.ids[:3]) + (
            f", ... ({len(release.ids)} ids)" if len(release.ids) > 3 else ""
        )
        problems.append(Problem(("saes", name, "id"), entry.id, fault, some))
        return SaeFacts()
    return SaeFacts(release.site(entry.id))


def _against_model(params: Params, model: ModelFacts, saes: dict[str, SaeFacts]) -> Iterator[Problem]:
    layers = f"an integer >= 0 and < {model.n_layers}"
    depth = f"beyond the {model.n_layers} layers of {params.model.source}"
    for field in ("inject_layer", "probe_layer"):
        layer = getattr(params.explanation, field)
        if layer is not None and layer >= model.n_layers:
            yield Problem(("explanation", field), layer, depth, layers)
    length, most = params.tokens.context_length, model.max_positions
    if most is not None and length > most:
        fault = f"longer than the {most} positions of {params.model.source}"
        yield Problem(("tokens", "context_length"), length, fault, f"an integer >= 2 and <= {most}")
    for name, facts in saes.items():
        key, value = _where(name, params.saes[name])
        if facts.site is not None and facts.site.layer >= model.n_layers:
            yield Problem(key, value, f"reads {facts.site}, {depth}", f"blocks 0 to {model.n_layers - 1}")
        if facts.d_model is not None and facts.d_model != model.d_model:
            fault = f"an SAE of width {facts.d_model}, where {params.model.source} has {model.d_model}"
            yield Problem(key, value, fault, f"SAEs of width {model.d_model}")


def _where(name: str, entry: SaeParams) -> tuple[Key, str]:
    if isinstance(entry, SaeLensSae):
        return ("saes", name, "id"), entry.id
    return ("saes", name, "path"), entry.path


def _pairs(params: Params, saes: dict[str, SaeFacts]) -> Iterator[Problem]:
    for pair, members in params.pairs.items():
        left, right = (saes[member] for member in members)
        if left.site and right.site and left.site.canonical != right.site.canonical:
            fault = f"two sites: {members[0]} reads {left.site}, {members[1]} reads {right.site}"
            yield Problem(("pairs", pair), members, fault, "two SAEs on one site of the model")
        if left.d_model and right.d_model and left.d_model != right.d_model:
            fault = f"two widths of model: {members[0]} has {left.d_model}, {members[1]} has {right.d_model}"
            yield Problem(("pairs", pair), members, fault, "two SAEs on one model")


def _other_paths(params: Params, root: Path) -> Iterator[Problem]:
    corpus, embedder = params.corpus, params.scoring.embedder
    must_be_local = corpus.path is not None and (corpus.source == "text_files" or looks_local(corpus.path))
    places = [(("scoring", "embedder"), embedder, looks_local(embedder))]
    if corpus.path is not None:
        places.append((("corpus", "path"), corpus.path, must_be_local))
    for key, source, is_local in places:
        if not (root / source).is_dir():
            yield from _no_folder(key, source, root, is_local=is_local)
    if (root / embedder).is_dir():
        try:
            check_embedder(root / embedder)
        except SourceError as error:
            yield Problem(("scoring", "embedder"), embedder, str(error))
