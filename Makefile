# `make` alone lists the targets. Every target installs what it needs into .venv first.
PYTHON ?= python3
PDFS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
# What mmprolong_hf.old_readers.OLDEST_TRANSFORMERS promises, each with what it needs to run beside the newest torch
OLDEST := .venv/oldest_transformers
OLDEST_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --upgrade \
	huggingface_hub==0.36.0 requests==2.34.2 urllib3==2.8.0 charset-normalizer==3.5.2 idna==3.20 certifi==2026.10.18

.DEFAULT_GOAL := help
.PHONY: help install demo test test-gpu quality style bench clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(OLDEST)/.installed: $(INSTALLED) Makefile
	$(OLDEST_INSTALL) --target $(OLDEST)/4.52.4 transformers==4.52.4 tokenizers==0.21.4
	$(OLDEST_INSTALL) --target $(OLDEST)/4.57.1 transformers==4.57.1 tokenizers==0.22.1
	@touch $@

install: $(INSTALLED) ## Install everything into .venv

demo: $(INSTALLED) ## PDFs -> dataset -> training -> checkpoint -> heat map, on two CPU cores (PDFS=folder takes yours)
	$(BIN)/mmprolong demo $(if $(PDFS),--pdfs '$(PDFS)')

test: $(INSTALLED) $(OLDEST)/.installed ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not gpu'

test-gpu: $(INSTALLED) ## Run the tests that need a GPU
	$(BIN)/python -m pytest -m gpu

quality: $(INSTALLED) ## Check lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

style: $(INSTALLED) ## Fix lint and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## Run some benchmarks that need no GPU (PDFS=folder for the one on PDFs)
	$(BIN)/python benchmarks/packing_memory.py
	$(BIN)/python benchmarks/packing_plan.py
	$(BIN)/python benchmarks/plan_simulation.py
	$(BIN)/python benchmarks/pack_cost.py
	$(BIN)/python benchmarks/shared_steps.py
	$(BIN)/python benchmarks/branch_attention.py --documents 4096 16384
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/synthesis.py $(if $(PDFS),'$(PDFS)',demo/pdfs/reports)
	$(BIN)/python benchmarks/pool.py $(if $(PDFS),'$(PDFS)',demo/pdfs/reports)
	$(BIN)/python benchmarks/verifier.py $(if $(PDFS),'$(PDFS)',demo/pdfs/reports)

clean: ## Remove what the demo made (not .venv)
	rm -rf demo outputs
