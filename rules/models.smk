"""Needs only the installed packages and models/recipe.yaml; makes the shipped model and SAEs (hours on two cores).

No other rule reads what these write: the pipeline takes models/ as it finds it, so nothing is ever retrained
unless `snakemake models` is asked for. Everything in between lies in train/, with checkpoints.
"""

import json

import yaml

from kindred.params.reading import read_mapping

RECIPE_FILE = Path(workflow.basedir, "models/recipe.yaml")

if workflow.is_main_process:
    try:
        RECIPE = read_mapping(RECIPE_FILE)
    except KindredError as error:
        sys.exit(str(error))
else:
    RECIPE = yaml.safe_load(RECIPE_FILE.read_text())


def recipe(*sections, **more):
    """Sections of the recipe merged into one JSON object, as the training steps take it."""
    merged = {}
    for section in sections:
        merged |= RECIPE[section]
    return json.dumps(merged | more)


def recipe_of_sae(name):
    """The recipe of one SAE, with what its cfg.json says of the model it reads."""
    entry = RECIPE["saes"][name]
    return recipe(
        "sae",
        seed=entry["seed"],
        model_name=entry["model"],
        dataset=entry["text"],
        hook_point=RECIPE["residuals"]["hook_point"],
        context_length=RECIPE["samples"]["context_length"],
    )


wildcard_constraints:
    trained="|".join(RECIPE["saes"]),
    text="docs|samples",
    lm="docs-lm|untrained-lm",


rule train_documents:
    """Read the documentation of all installed, pinned packages."""
    output:
        documents="train/documents.parquet",
        record="train/documents.json",
    log:
        "logs/train/documents.log",
    params:
        settings=recipe("documents"),
    shell:
        "python -m kindred.steps.documents --out {output.documents} --record {output.record}"
        " --settings {params.settings:q} > {log} 2>&1"


rule train_tokenizer:
    """Train the byte-level BPE."""
    input:
        documents=rules.train_documents.output.documents,
    output:
        directory("train/tokenizer"),
    log:
        "logs/train/tokenizer.log",
    params:
        settings=recipe("tokenizer"),
    shell:
        "python -m kindred.steps.train_tokenizer --documents {input.documents} --out {output}"
        " --settings {params.settings:q} > {log} 2>&1"


rule train_language_model:
    """Train the language model; it goes on from train/lm/checkpoint.pt if it was interrupted."""
    input:
        documents=rules.train_documents.output.documents,
        tokenizer=rules.train_tokenizer.output,
    output:
        directory("train/docs-lm"),
    log:
        "logs/train/language_model.log",
    threads: 1
    params:
        settings=recipe("language_model"),
    shell:
        "MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184"
        " MALLOC_TOP_PAD_=268435456 python -m kindred.steps.train_language_model"
        " --documents {input.documents} --tokenizer {input.tokenizer} --out {output}"
        " --checkpoint train/lm/checkpoint.pt --settings {params.settings:q} > {log} 2>&1"


rule train_untrained:
    """Make the control model with random weights."""
    input:
        tokenizer=rules.train_tokenizer.output,
    output:
        directory("train/untrained-lm"),
    log:
        "logs/train/untrained.log",
    params:
        settings=recipe("language_model"),
    shell:
        "python -m kindred.steps.train_untrained --tokenizer {input.tokenizer} --out {output}"
        " --settings {params.settings:q} > {log} 2>&1"


rule train_contexts:
    """Take contexts from the language model's own training stream."""
    input:
        documents=rules.train_documents.output.documents,
        tokenizer=rules.train_tokenizer.output,
    output:
        directory("train/contexts/docs"),
    log:
        "logs/train/contexts.log",
    params:
        n_contexts=RECIPE["contexts"]["n_contexts"],
        settings=recipe("language_model"),
    shell:
        "python -m kindred.steps.train_contexts --documents {input.documents}"
        " --tokenizer {input.tokenizer} --n-contexts {params.n_contexts} --out {output}"
        " --settings {params.settings:q} > {log} 2>&1"


rule train_samples:
    """Let the language model write text from BOS alone."""
    input:
        model="train/docs-lm",
    output:
        directory("train/contexts/samples"),
    log:
        "logs/train/samples.log",
    threads: 1
    params:
        settings=recipe("samples"),
    shell:
        "MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184"
        " MALLOC_TOP_PAD_=268435456 python -m kindred.steps.train_samples --model {input.model} --out {output}"
        " --settings {params.settings:q} > {log} 2>&1"


rule train_residuals:
    """Cache a model's residual stream over a text."""
    input:
        contexts="train/contexts/{text}",
        model="train/{lm}",
    output:
        "train/residuals/{lm}-{text}.npy",
    log:
        "logs/train/residuals/{lm}-{text}.log",
    threads: 1
    params:
        settings=recipe("residuals"),
    shell:
        "python -m kindred.steps.train_residuals --contexts {input.contexts} --model {input.model}"
        " --out {output} --settings {params.settings:q} > {log} 2>&1"


rule train_sae:
    """Train one SAE on cached activations."""
    input:
        residuals=lambda wildcards: "train/residuals/{model}-{text}.npy".format(
            **RECIPE["saes"][wildcards.trained]
        ),
    output:
        directory("train/saes/{trained}"),
    log:
        "logs/train/saes/{trained}.log",
    threads: 1
    params:
        settings=lambda wildcards: recipe_of_sae(wildcards.trained),
    shell:
        "python -m kindred.steps.train_sae --residuals {input.residuals} --out {output}"
        " --settings {params.settings:q} > {log} 2>&1"


rule train_sae_card:
    """Measure an SAE on contexts it was not trained on."""
    input:
        sae="train/saes/{trained}",
        model=lambda wildcards: "train/" + RECIPE["saes"][wildcards.trained]["model"],
        contexts=lambda wildcards: "train/contexts/"
        + RECIPE["saes"][wildcards.trained]["text"],
    output:
        "train/cards/{trained}.json",
    log:
        "logs/train/cards/{trained}.log",
    threads: 1
    params:
        settings=recipe("evaluation"),
    shell:
        "python -m kindred.steps.train_sae_card --sae {input.sae} --model {input.model}"
        " --contexts {input.contexts} --out {output} --settings {params.settings:q} > {log} 2>&1"


rule models:
    """Copy everything that was trained into models/, with cards."""
    input:
        model="train/docs-lm",
        saes=expand("train/saes/{trained}", trained=RECIPE["saes"]),
        cards=expand("train/cards/{trained}.json", trained=RECIPE["saes"]),
    output:
        touch("train/shipped"),
    log:
        "logs/train/ship.log",
    shell:
        "python -m kindred.steps.train_ship --language-model {input.model} --saes {input.saes}"
        " --sae-cards {input.cards} --out models > {log} 2>&1"
