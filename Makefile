# `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
SCALING := .venv-scaling
BIN := $(VENV)/bin
# DVC's stages find `python` by it. The recipes name the folder themselves: GNU make 3.81, as Apple ships it, looks
# for a recipe's program by the PATH that it was itself started with.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help repro test stress scaling ui bench verify results problems records lint format rename params tour lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

repro: $(VENV)/.synced ## download, preprocess, train, evaluate, plot, problems, page: whatever is out of date
	@$(BIN)/python -m json.tool .dvc/tmp/rwlock > /dev/null 2>&1 || rm -f .dvc/tmp/rwlock # cut off by a kill
	$(BIN)/dvc repro
	@echo "Figures: reports/figures, reports/problems. (dvc push is for a remote, which this project has not got.)"

# More processes than two cores: many tests wait for a server or a stage.
test: $(VENV)/.synced ## run the tests
	$(BIN)/pytest --numprocesses=5 --dist=worksteal

stress: $(VENV)/.synced ## run the tests that take long: many processes at once, killed again and again
	$(BIN)/pytest -m stress --numprocesses=3 --dist=worksteal

scaling: $(SCALING)/.synced ## install the launchers for Ray and Slurm into an environment of their own and test them
	$(SCALING)/bin/python -m pytest tests/sweeps/test_scaling.py

ui: $(VENV)/.synced ## browse the runs with MLflow
	$(BIN)/python -m pipeline.tracking.page

bench: $(VENV)/.synced ## measure speed and memory, side by side with other libraries where installed
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.time_to_accuracy
	$(BIN)/python -m benchmarks.augmentation
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.large_data
	$(BIN)/python -m benchmarks.stages
	$(BIN)/python -m benchmarks.sweep

verify: $(VENV)/.synced ## check that this machine reproduces the committed results to the bit
	$(BIN)/python -m benchmarks.verify

results: $(VENV)/.synced ## train the network of params.yaml with seeds 0 to 4 and print its accuracy
	$(BIN)/python -m benchmarks.accuracy

problems: $(VENV)/.synced ## solve the alternating points and XOR with seeds 0 to 9 and print the errors
	$(BIN)/python -m benchmarks.problems

records: $(VENV)/.synced ## train the networks of published results (hours) and write docs/records.md
	$(BIN)/python -m benchmarks.records

# The page's scripts are one program: joined, a name that no file defines, or none uses, is found.
lint: $(VENV)/.synced ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	awk '!/^"use strict";$$/' pipeline/page/*.js > $(VENV)/page.js
	$(BIN)/oxlint --no-ignore --deny-warnings $(VENV)/page.js

format: $(VENV)/.synced ## mend style, formatting, and the line numbers to which docs/ links
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python docs/links.py

rename: $(VENV)/.synced ## rename the package: make rename NAME=wine
	$(BIN)/python docs/rename.py $(NAME)

params: $(VENV)/.synced ## compose params.yaml anew from conf/
	$(BIN)/python -m pipeline.train --cfg job --resolve > params.yaml.new
	mv params.yaml.new params.yaml

tour: $(VENV)/.synced ## run docs/tour.ipynb on the prepared data and store what its cells show
	$(BIN)/python -m docs.run_tour

COMPILE := $(BIN)/uv pip compile pyproject.toml --group dev --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-emit-index-url --quiet

lock: $(VENV)/.synced ## pin every dependency anew in both lock files, which differ no more than they must
	$(COMPILE) --upgrade -o requirements.lock
	cp requirements.lock requirements-scaling.lock
	$(COMPILE) --all-extras -o requirements-scaling.lock
	awk -F '[:= ]+' 'NR == FNR { locked[$$1] = $$2; next } /^#/ { print; next } { print $$1 ": \"" locked[$$1] "\"" }' \
		requirements.lock versions.yaml > versions.yaml.new
	mv versions.yaml.new versions.yaml

clean: ## remove the environments and all that the pipeline made
	git clean -dfXq -- $(VENV) $(SCALING) data models reports outputs multirun mlruns mlartifacts dvc_plots \
		'mlflow.db*' .cache .dvc/tmp .dvc/cache

# uv is many times faster than pip, and pip is what every Python has: pip installs uv, uv the rest.
$(VENV)/.synced: requirements.lock
$(SCALING)/.synced: requirements-scaling.lock
$(VENV)/.synced $(SCALING)/.synced:
	@echo "Installing the libraries into $(@D): about 1.2 GB, several minutes without output …"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check "$$(awk '/^uv==/ { print $$1 }' $<)"
	$(@D)/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python $(@D)/bin/python $<
	touch $@
