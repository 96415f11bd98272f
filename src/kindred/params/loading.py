"""Reading params.yaml and its overlay into one validated `Params`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kindred.errors import KindredError
from kindred.params.sections import Params

# An overlay's set of SAEs belongs to its own model, so it takes the place of the whole mapping.
REPLACED_WHOLE = ("saes", "pairs")


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `overlay` over `base`: mappings merge key by key, except `saes` and `pairs`, which are replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if key not in REPLACED_WHOLE and isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def load_params(
    path: Path, *, experiment: str | None = None, experiments: Path = Path("experiments")
) -> Params:
    """Read params.yaml, lay the overlay of `experiment` over it and validate the result.

    Raises:
        KindredError: with one line per problem.
    """
    values = yaml.safe_load(path.read_text())
    chosen = experiment or values["experiment"]
    if chosen != "default":
        values = merge(values, yaml.safe_load((experiments / f"{chosen}.yaml").read_text()))
    try:
        return Params.model_validate({**values, "experiment": chosen})
    except ValueError as error:
        raise KindredError(str(error)) from error
