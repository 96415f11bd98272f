"""The keys that `snakemake --config` takes: a key that nothing reads is refused, never ignored."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from kindred.errors import KindredError
from kindred.params.loading import EXPERIMENTS, available_experiments
from kindred.params.problems import did_you_mean

# What the Snakefile of the project reads, and that of profiles/kubernetes. A new key is added here and read there.
PIPELINE_KEYS = {"experiment": "the name of an overlay in experiments/, or default"}
KUBERNETES_KEYS = {
    "experiments": "names of overlays, with commas between them",
    "project": "the folder of the project in the image",
}


def check_config(config: Mapping[str, object], keys: Mapping[str, str]) -> None:
    """Refuse what `--config` (or a profile, or `--configfile`) gives that the Snakefile does not read.

    Args:
        config: Snakemake's config.
        keys: The keys that are read, with what each one takes.

    Raises:
        KindredError: One line for each key that is unknown or has no value.
    """
    allowed = "; ".join(f"{key}: {meaning}" for key, meaning in keys.items())
    lines = []
    for key, value in config.items():
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            lines.append(
                f"--config {key}: unknown key{hint} (allowed: {allowed}). "
                "Every other setting belongs in params.yaml, or in an overlay of experiments/"
            )
        elif value is None or value == "":
            lines.append(f"--config {key}: no value (allowed: {keys[key]})")
    if lines:
        raise KindredError("\n".join(lines))


def experiments_of(config: Mapping[str, object], project: Path) -> list[str]:
    """Read the list of `--config experiments=default,small`, for the Kubernetes profile.

    Args:
        config: Snakemake's config.
        project: The folder that holds experiments/.

    Raises:
        KindredError: A name has no overlay there.
    """
    names = str(config.get("experiments", "default")).split(",")
    known = available_experiments(project / EXPERIMENTS)
    lines = [
        f"--config experiments={name}: unknown experiment{did_you_mean(name, known)} (allowed: {', '.join(known)})"
        for name in names
        if name not in known
    ]
    if lines:
        raise KindredError("\n".join(lines))
    return names
