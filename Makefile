# make repro | make test | make lint | make profile P=cifar10 | make publish NAME=x RUNS="a b"; each sets up .venv by itself. FAISS=gpu installs faiss-gpu.
PYTHON ?= python3
FAISS ?= cpu
VENV := .venv
READY := $(VENV)/.ready-$(FAISS)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test lint profile publish lock

repro: $(READY)
	dvc repro
	@echo "summary:  metrics/summary.json, metrics/pairs.csv"
	@echo "figures:  plots/figure_4.png, _5, _6, plots/curve_epsilon.png, curve_growth, plots/table_1.png (each also as .pdf and .csv)"
	@echo "page:     . $(VENV)/bin/activate && dvc plots show"

test: $(READY)
	python -m pytest

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy

profile: $(READY)
	cp profiles/$(P).yaml params.yaml

publish: $(READY)
	python benchmarks/publish.py $(NAME) $(RUNS)

$(READY): requirements/$(FAISS).lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip uninstall --quiet --yes faiss-cpu faiss-gpu
	$(VENV)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/$(FAISS).lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/.ready-* && touch $@

# Needs uv. Pins every version with its hashes, for every Python from 3.10, naming no package index.
lock:
	for faiss in cpu gpu; do uv pip compile pyproject.toml --extra $$faiss --extra cluster --extra crosscheck --extra dev --universal --python-version 3.10 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/$$faiss.lock; done
