# The commands of the README. Everything happens in .venv, made from requirements.lock.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 8
IN_ENVIRONMENT := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: tables verify tags gc test check models bench bench-gpu bench-long

tables: $(VENV)/.complete
	$(IN_ENVIRONMENT) snakemake --cores $(CORES) results/tables results/figures results/report

# Compares the tables with those that git holds: make verify AGAINST=default-2
verify: $(VENV)/.complete
	$(IN_ENVIRONMENT) kindred verify $(if $(AGAINST),--against $(AGAINST))

# The tags of the released experiments, from docs/experiments.csv.
tags: $(VENV)/.complete
	$(IN_ENVIRONMENT) kindred tags

# Frees DVC's cache of whatever no tag, branch or dvc experiment needs (docs/storage.md).
gc: tags
	$(IN_ENVIRONMENT) dvc gc --workspace --all-branches --all-tags --all-experiments

test: $(VENV)/.complete $(VENV)/cluster/.complete check
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

check: $(VENV)/.complete
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile rules profiles
	$(BIN)/mypy

# Every step against its limit and its peers, as one table and as benchmarks/results.json (docs/performance.md).
bench: $(VENV)/.complete .venv-delphi/.complete
	$(IN_ENVIRONMENT) python benchmarks/run.py

bench-gpu: $(VENV)/.complete .venv-delphi/.complete
	$(IN_ENVIRONMENT) python benchmarks/run.py --device cuda

# What takes long: memory of each step, 10 M tokens within 4 GiB, and the matching of 131,072 features (an hour).
bench-long: $(VENV)/.complete
	$(IN_ENVIRONMENT) python benchmarks/memory.py
	$(IN_ENVIRONMENT) python benchmarks/end_to_end.py --out benchmarks/end_to_end.json
	$(IN_ENVIRONMENT) python benchmarks/matching.py

# The shipped model and SAEs, trained anew from the documentation of the installed packages (hours on two cores).
models: $(VENV)/.complete
	$(IN_ENVIRONMENT) snakemake --cores all models

# pip is given one list, so that whatever CUDA or CPU build satisfies the pin of torch is taken. The environment
# counts as made only once everything is in it.
$(VENV)/.complete: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# Snakemake imports every plugin it finds each time it starts, so those for clusters lie apart; their tests name the folder.
$(VENV)/cluster/.complete: requirements-cluster.lock $(VENV)/.complete
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/cluster --upgrade -r requirements-cluster.lock
	touch $@

# The peer eai-delphi in an environment of its own: its pins (vllm) conflict with ours.
.venv-delphi/.complete: benchmarks/peers/delphi-requirements.txt
	$(PYTHON) -m venv .venv-delphi
	.venv-delphi/bin/python -m pip install --quiet -r benchmarks/peers/delphi-requirements.txt
	.venv-delphi/bin/python -m pip install --quiet --no-deps eai-delphi==0.1.3
	touch $@
