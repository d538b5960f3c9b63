PYTHON_ENV := .venv/bin/python
# In two processes, each with whole files; one process: make test PYTEST_ARGS=
PYTEST_ARGS ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
ESTIMATORS ?= ddm-npe ddm-nle ddm-nre foraging-npe foraging-nle foraging-nle-window foraging-nre lif-npe lif-nre gaussian-nre poisson-nre

.PHONY: help env demo test test-slow check format estimators notebooks figures bench bench-long docs clean

help: ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

env: ## Make .venv from the pins of requirements.txt, or bring it up to date
	@sh scripts/setup.sh

demo: env ## Fit human choices, learned and exact side by side, into runs/demo
	$(PYTHON_ENV) -m firstpassage.cli demo --into runs/demo --force

test: check ## Lint, check types, and run the fast tests
	$(PYTHON_ENV) -m pytest $(PYTEST_ARGS)

test-slow: env ## Run the slow tests
	$(PYTHON_ENV) -m pytest -m slow $(PYTEST_ARGS)

check: env ## Lint, formatting and types
	$(PYTHON_ENV) -m ruff check
	$(PYTHON_ENV) -m ruff format --check
	$(PYTHON_ENV) -m mypy

format: env ## Sort imports, mend what ruff can mend, and format
	$(PYTHON_ENV) -m ruff check --fix
	$(PYTHON_ENV) -m ruff format

estimators: env ## Train the shipped estimators again, audit and ship them (six to seven hours)
	@for name in $(ESTIMATORS); do \
		$(PYTHON_ENV) scripts/train_estimators.py $$name --into runs/$$name && \
		$(PYTHON_ENV) -m firstpassage.cli check runs/$$name && \
		$(PYTHON_ENV) scripts/ship_estimator.py runs/$$name || exit 1; \
	done

notebooks: env ## Execute the notebooks and store what they show
	$(PYTHON_ENV) scripts/notebooks.py

figures: env ## Draw the figures again
	@for program in $(wildcard scripts/figures*.py); do echo "$$program"; $(PYTHON_ENV) $$program || exit 1; done

bench: env ## Measure the quick table of benchmarks and collect the stored long studies (half an hour of CPU time)
	$(PYTHON_ENV) benchmarks

bench-long: env ## Run the long studies again, all or STUDIES="break_even ..." (many hours)
	$(PYTHON_ENV) benchmarks --long $(STUDIES)

docs: env ## Build the documentation into docs/_build/html; warnings are errors
	$(PYTHON_ENV) -m sphinx -b html -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

clean: ## Remove the environment, caches and runs
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache build dist runs docs/_build docs/gallery docs/reference/api docs/reference/generated docs/tutorials/notebooks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
