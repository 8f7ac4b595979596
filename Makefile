# Each target makes .venv by itself when it is missing or when the requirements have changed.
#
#   make PYTHON=/path/to/python ...   uses another Python for .venv

# The first Python that is new enough and can make an environment.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# Written only after everything is installed, so an interrupted installation starts again.
INSTALLED := .venv/installed
TESTABLE := .venv/installed-test

# Another environment of the user must not leak into this one.
unexport PYTHONPATH PYTHONHOME
# Threads that spin while they wait slow each other down on a machine that is not idle.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help env env-test book test test-browser oldest lint notebooks card address clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(INSTALLED) ## make .venv and install what builds the book; the other targets do this by themselves

$(INSTALLED): requirements.txt pyproject.toml
	@$(or $(PYTHON),false) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "This needs Python 3.11 or newer with its venv module, and found none. Install one (on Debian or Ubuntu:"; \
		echo "apt install python3 python3-venv), or name it: make PYTHON=/path/to/python"; exit 1; }
	@echo "Making .venv with $(PYTHON) and installing the pinned packages: about two minutes, 1.5 GB ..."
	@test -f $@ || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@echo "Building the native kernel of SimAM ..."
	@$(BIN)/simam-edu kernels || echo "Going on without it: SimAM then runs on torch's own operations."
	@touch $@

env-test: $(TESTABLE) ## add what the tests need, Triton too: with it the book runs the GPU kernel

# The larger half of this is Triton, whose interpreter runs the GPU kernel on the CPU.
$(TESTABLE): $(INSTALLED) requirements-test.txt
	@echo "Installing what the tests need beside it: a minute, 1 GB ..."
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-test.txt
	@touch $@

# A build that failed leaves pages that Sphinx would not read again, and so would not complain of
# again: without the mark of a finished build its memory is dropped. Pages are written afresh, so
# that none stays of a chapter that was removed; the outputs of unchanged cells come from the cache.
book: $(INSTALLED) ## build the book
	@echo "Building the book: pages that have changed are run, the others come from the cache ..."
	@test -f _build/finished || rm -rf _build/.doctrees
	@rm -rf _build/finished _build/html
	@$(BIN)/jupyter-book build . -W --keep-going || { \
		echo; echo "The book was not built: the warnings above name the page and the cell."; exit 1; }
	@$(BIN)/python tools/check_pages.py _build/html
	@touch _build/finished
	@echo "The book is built. Open _build/html/index.html"

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --durations 15 --durations-min 2

test: $(TESTABLE) ## run the tests
	@echo "Running the tests on all cores; the slowest are named at the end ..."
	@$(PYTEST) --ignore tests/browser

test-browser: $(TESTABLE) ## try the figures and the built book in Chromium, after make book
	@echo "Moving the figures and opening the pages of the built book in Chromium ..."
	@$(PYTEST) tests/browser

# The tests of what torch does with the modules, in an environment of its own.
OLDEST := _build/oldest
OLDEST_TESTS := tests/test_attention.py tests/test_simam_ecosystem.py tests/test_recorded_programs.py tests/test_kernels.py

oldest: ## run the tests of modules, kernels and exports with the oldest torch of pyproject.toml
	@echo "Making $(OLDEST) with torch 2.6.0 and running the tests there: several minutes, 6 GB with CUDA ..."
	@test -d $(OLDEST) || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --disable-pip-version-check -q $(TORCH_INDEX) torch==2.6.0
	$(OLDEST)/bin/python -m pip install --disable-pip-version-check -q . pytest beartype onnx onnxruntime onnxscript
	$(OLDEST)/bin/python -m pytest $(OLDEST_TESTS)

lint: $(TESTABLE) ## check style, types, the code on the pages, and that their notebooks are up to date
	@echo "Checking style and types ..."
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/python tools/lint_pages.py
	@$(BIN)/python tools/notebooks.py

# Only this target writes what is committed: a build alone would change it with every timing.
notebooks: book ## build the book and take over its notebooks, for Colab
	@rm -f book/colab/*.ipynb
	@cp _build/html/_sources/book/*.ipynb book/colab/

# With the Python and the torch of a machine that has a card, which are not those of .venv.
card: ## on a machine with a CUDA card, check, time and train there: make card MINUTES=9 OUT=runs/card
	@PYTHONPATH=src $(PYTHON) -m benchmarks.card --minutes $(or $(MINUTES),9) --out $(or $(OUT),runs/card)

address: $(INSTALLED) ## make address URL=https://github.com/you/your-fork sets the address of the repository everywhere
	@$(BIN)/python tools/address.py "$(URL)"

clean: ## remove the built book and its cache; .venv stays
	rm -rf _build
