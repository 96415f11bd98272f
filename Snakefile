"""From a language model and pairs of SAEs to the case study of their matched features."""

import os
import re
import sys

from snakemake.utils import min_version

# The sources beside this file, in a copy of the repository too (dvc exp run --temp), whatever is installed.
SOURCES = str(Path(workflow.basedir, "src"))
sys.path.insert(0, SOURCES)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [SOURCES, os.environ.get("PYTHONPATH")])
)

from kindred.errors import KindredError
from kindred.sizes import step_sizes, summary_line
from kindred.store import DEFAULT_LIMIT_MB, STORE, StoreSettings
from kindred.workflow import (
    SNAPSHOT,
    compute_all_jobs,
    prepare,
    stamp,
    trim_store,
    warn_of_edits,
)
from kindred.workflow_config import PIPELINE_KEYS, check_config

min_version("9.27")

# Whoever trains the shipped model and SAEs anew need not have them. (The targets are not known to the workflow yet.)
TRAINS = any(
    argument == "models" or argument.startswith("train/") for argument in sys.argv[1:]
)

# A run is told its cores, or its jobs on a cluster; what only looks (--dry-run, --lint, --summary) is not.
RUNS = not workflow.output_settings.dryrun and (
    workflow.resource_settings.cores is not None
    or workflow.resource_settings.nodes is not None
)
# `--force`, `--forceall` and `--forcerun` ask for computing. (The workflow does not know them yet; see onstart.)
FORCES = any(
    re.fullmatch(r"--force(all|run)?(=.*)?|-[a-zA-Z]*[fFR]", argument)
    for argument in sys.argv[1:]
)
# Of the profile, or of --resources on the command line.
# A job of a cluster, which only reads the params, is given none.
STORE_MB = getattr(workflow.resource_settings.resources.get("store_mb"), "value", None)
STORE_SETTINGS = StoreSettings(
    limit_mb=DEFAULT_LIMIT_MB if STORE_MB is None else STORE_MB, takes=not FORCES
)


try:
    check_config(config, PIPELINE_KEYS)
    PARAMS = prepare(
        main_process=workflow.is_main_process,
        experiment=config.get("experiment"),
        needs_sources=not TRAINS,
        runs=RUNS,
        store=STORE_SETTINGS,
    )
except KindredError as error:
    # The message alone, without the lines of the Snakefile that led to it.
    sys.exit(str(error))

PAIRS = sorted(PARAMS.pairs)
SAES = sorted({sae for pair in PARAMS.pairs.values() for sae in pair})
SHARDS = [f"{shard:03d}" for shard in range(PARAMS.activations.n_shards)]


wildcard_constraints:
    sae="|".join(SAES),
    pair="|".join(PAIRS),
    shard=r"\d+",


def manifests_of_pairs_with(sae):
    """The matchings in which an SAE takes part: they choose its features."""
    return expand(
        rules.matching.output.manifest,
        pair=[name for name in PAIRS if sae in PARAMS.pairs[name]],
    )


def folders(manifests):
    """The artefact folders of manifest files, as a step's command takes them."""
    return [str(Path(manifest).parent) for manifest in manifests]


include: "rules/corpus.smk"
include: "rules/activations.smk"
include: "rules/matching.smk"
include: "rules/explanation.smk"
include: "rules/report.smk"
include: "rules/models.smk"


rule all:
    default_target: True
    input:
        rules.tables.output,
        rules.figures.output,
        rules.report.output,


localrules:
    all,


onstart:
    # Only now known to the workflow.
    if (
        workflow.dag_settings.forceall
        or workflow.dag_settings.forcetargets
        or workflow.dag_settings.forcerun
    ):
        compute_all_jobs()


onsuccess:
    trim_store()
    warn_of_edits(PARAMS, config.get("experiment"))
    print(f"kindred: {summary_line(step_sizes(Path()))}", file=sys.stderr)


onerror:
    trim_store()
