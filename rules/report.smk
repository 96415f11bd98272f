"""Needs what the earlier steps found; makes what people look at: tables, figures and the report."""


def findings(step, identities):
    """The manifests of one step for all SAEs or all pairs."""
    return expand(f"cache/{step}/{{identity}}/manifest.json", identity=identities)


FINDINGS = {
    "features": findings("features", SAES),
    "matching": findings("matching", PAIRS),
    "explanation": findings("explanation", SAES),
    "scoring": findings("scoring", SAES),
    "case_study": findings("case_study", PAIRS),
}
FINDINGS_ARGUMENTS = " ".join(
    f"--{step} {' '.join(folders(manifests))}" for step, manifests in FINDINGS.items()
)


rule tables:
    """Write the case study and the tables as JSON, CSV, LaTeX and Markdown."""
    input:
        **FINDINGS,
        stamp=stamp("results/tables"),
    output:
        directory("results/tables"),
    log:
        "logs/tables.log",
    benchmark:
        "logs/benchmarks/tables.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        findings=FINDINGS_ARGUMENTS,
    shell:
        "python -m kindred.steps tables --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store} --out {output}"
        " {params.findings}"


rule figures:
    """Draw the figures as PDF and PNG."""
    input:
        **FINDINGS,
        stamp=stamp("results/figures"),
    output:
        directory("results/figures"),
    log:
        "logs/figures.log",
    benchmark:
        "logs/benchmarks/figures.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        findings=FINDINGS_ARGUMENTS,
    shell:
        "python -m kindred.steps figures --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store} --out {output}"
        " {params.findings}"


rule report:
    """Write the page that a reader scrolls, with everything inside it."""
    input:
        **FINDINGS,
        stamp=stamp("results/report"),
    output:
        directory("results/report"),
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        findings=FINDINGS_ARGUMENTS,
    shell:
        "python -m kindred.steps report --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store} --out {output}"
        " {params.findings}"
