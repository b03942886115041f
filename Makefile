# make repro | make report (report/index.html, of what `dvc repro` left) | make verify (every output and the cache against their hashes) | make test [JOBS=2] [SLOW=1: also the tests that take seconds or more] | make lint | make profile P=cifar10 [FORCE=1] | make campaign PROFILE=x BUDGET=8h [OUT=results/x/records] | make publish [NAME=x (none: only the pages over all runs)] [RUNS="a b"] [NOTE="..."] | make compare A=x B=y | make difference [BASE=main] (difference.md) | make docs (site/index.html) | make pull [REMOTE=URL] | make push [REMOTE=URL] | make wheel (dist/) | make audit (known vulnerabilities of what is pinned) | make licences; each sets up .venv by itself. FAISS=gpu installs faiss-gpu.
PYTHON ?= python3
FAISS ?= cpu
JOBS ?= 2
VENV := .venv
READY := $(VENV)/.ready-$(FAISS)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro report verify test lint profile campaign publish compare difference docs pull push wheel audit licences lock

repro: $(READY)
	python scripts/mend.py
	dvc repro
	python scripts/report.py
	@echo "summary:  metrics/summary.json, metrics/pairs.csv"
	@echo "figures:  plots/images (as PDF: plots/pdf; their data: plots/*.csv)"
	@echo "page:     . $(VENV)/bin/activate && dvc plots show"

report: $(READY)
	python scripts/report.py

verify: $(READY)
	python scripts/mend.py --all

test: $(READY)
	OMP_NUM_THREADS=1 python -m pytest --numprocesses $(JOBS) --dist loadfile $(if $(SLOW),,-m "not slow")

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

profile: $(READY)
	python scripts/compose.py $(P) $(if $(FORCE),--force)

campaign: $(READY)
	python scripts/campaign.py $(PROFILE) --budget $(BUDGET) --out $(or $(OUT),results/$(PROFILE)/records)

publish: $(READY)
	python scripts/publish.py $(NAME) $(RUNS) --note "$(NOTE)"

compare: $(READY)
	python scripts/compare.py $(A) $(B)

difference: $(READY)
	printf '# Metrics against %s\n\n' "$(or $(BASE),main)" > difference.md
	dvc metrics diff --md "$(or $(BASE),main)" >> difference.md
	printf '\n# Parameters\n\n' >> difference.md
	dvc params diff --md "$(or $(BASE),main)" >> difference.md

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet
	@echo "site:     site/index.html"

pull: $(READY)
	$(if $(REMOTE),dvc remote add --quiet --local --force --default results "$(REMOTE)")
	dvc pull

push: $(READY)
	$(if $(REMOTE),dvc remote add --quiet --local --force --default results "$(REMOTE)")
	dvc push

wheel: $(READY)
	python -m build --no-isolation --outdir dist
	python -m pytest tests/packaging

audit: $(READY)
	pip-audit --require-hashes --disable-pip --requirement requirements/$(FAISS).lock

licences: $(READY)
	pip-licenses --order=license --format=markdown

$(READY): requirements/$(FAISS).lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip uninstall --quiet --yes faiss-cpu faiss-gpu
	$(VENV)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/$(FAISS).lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/.ready-* && touch $@

# Needs uv. Pins every version with its hashes, for every Python from 3.10, naming no package index.
lock:
	for faiss in cpu gpu; do uv pip compile pyproject.toml --extra $$faiss --extra workflow --extra cluster --extra crosscheck --extra docs --extra dev --universal \
		--python-version 3.10 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/$$faiss.lock; done
