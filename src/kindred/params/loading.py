"""Reading params.yaml and its overlay into one validated `Params`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kindred.characters import readable_name
from kindred.errors import KindredError
from kindred.params.combinations import combination_problems
from kindred.params.problems import Origins, did_you_mean, refuse, shown
from kindred.params.reading import read_mapping
from kindred.params.refusals import problems_of
from kindred.params.sections import NAME, Params
from kindred.params.two_readers import ambiguous_lines

EXPERIMENTS = Path("experiments")
NO_OVERLAY = "default"

# An overlay's set of SAEs belongs to its own model, so it takes the place of the whole mapping.
REPLACED_WHOLE = ("saes", "pairs")


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `overlay` over `base`: mappings merge key by key, except `saes` and `pairs`, which are replaced.

    >>> merge({"a": {"b": 1, "c": 2}, "saes": {"x": 1}}, {"a": {"b": 3}, "saes": {"y": 2}})
    {'a': {'b': 3, 'c': 2}, 'saes': {'y': 2}}
    """
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if key not in REPLACED_WHOLE and isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def available_experiments(experiments: Path = EXPERIMENTS) -> list[str]:
    """The names that `experiment` may take: default, and each overlay in the folder.

    Raises:
        KindredError: if an overlay has a name that cannot be chosen.
    """
    found = sorted(file.stem for file in experiments.glob("*.yaml") if not file.name.startswith("."))
    for name in found:
        fault = _unfit(name)
        if fault:
            raise KindredError(f"{experiments / readable_name(name)}.yaml: {fault}; rename the file")
    return [NO_OVERLAY, *found]


def _unfit(name: str) -> str | None:
    """Why an overlay cannot be chosen by its name; None if it can."""
    if name == NO_OVERLAY:
        return f"{NO_OVERLAY} stands for no overlay at all"
    if not NAME.fullmatch(name):
        return "an overlay's name is made of letters, digits, dots, hyphens and underscores"
    if not isinstance(yaml.safe_load(name), str) or ambiguous_lines(f"experiment: {name}"):
        return f"YAML reads the name {name} as something other than text"
    return None


def load_params(path: Path, *, experiment: str | None = None, experiments: Path = EXPERIMENTS) -> Params:
    """Read params.yaml, lay the overlay of `experiment` over it and validate the result.

    Args:
        path: params.yaml.
        experiment: the overlay's name; None takes the key `experiment` of the file. `default` is no overlay.
        experiments: the folder of overlays.

    Raises:
        KindredError: one line per problem: an unreadable file, an unknown experiment, a wrong key, type,
            range or combination.
    """
    base = read_mapping(path)
    chosen = base.get("experiment", NO_OVERLAY) if experiment is None else experiment
    origins = _origins(path, chosen, experiments, source=path if experiment is None else "command line")
    values = merge(base, origins.overlay)
    if "experiment" in base or experiment is not None:
        values["experiment"] = chosen
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        problems = problems_of(error, values)
    else:
        problems = combination_problems(params)
    refuse(problems, origins)
    return params


def origins_of(params: Params, path: Path, experiments: Path = EXPERIMENTS) -> Origins:
    """Where the keys of loaded parameters come from, for messages of later checks.

    Raises:
        KindredError: if the overlay that the parameters name is not there any more.
    """
    return _origins(path, params.experiment, experiments, source=path)


def _origins(path: Path, chosen: object, experiments: Path, *, source: Path | str) -> Origins:
    known = available_experiments(experiments)
    if chosen == NO_OVERLAY:
        return Origins(path, None, {})
    if chosen not in known:
        fault = f"unknown experiment{did_you_mean(chosen, known)} (allowed: {', '.join(known)})"
        raise KindredError(f"{source}: experiment = {shown(chosen)}: {fault}")
    overlay_path = experiments / f"{chosen}.yaml"
    overlay = read_mapping(overlay_path)
    if "experiment" in overlay:
        raise KindredError(
            f"{overlay_path}: experiment = {shown(overlay['experiment'])}: an overlay cannot choose an "
            f"experiment; the key belongs in {path}"
        )
    return Origins(path, overlay_path, overlay)
