# `make reproduce` and `make test` are the two commands to know; `make` alone lists the others.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help install reproduce test test-slow mutants sanitize lab site lint bench gpu notebooks pins clean distclean opencv chaos

PYTHON ?= python3     # 3.11 or newer, with pip
PRESET ?= quick       # smoke, quick, gpu or paper
DATA ?=               # root of a real data set; empty = the bundled scenes
VARIANT ?=            # blur or blur_gamma, if the data set has both
RESULTS ?=            # where tables and figures go; empty = results/
PHOTOS ?=             # folder of sharp photographs to train on; empty = the bundled ones
NOTEBOOKS ?=          # e.g. "01 04"; empty = all
JOBS ?=               # notebooks run at the same time; empty = chosen from the number of cores
FORCE ?=              # 1 = also run notebooks that are up to date
PORT ?=               # of JupyterLab; empty = 8888, or the next free one
ARGS ?=               # further options of JupyterLab, such as --no-browser
CPU ?=                # 1 = install PyTorch without its GPU libraries, on Linux

override PYTHON := $(strip $(PYTHON))
BIN := .venv/bin
INSTALLED := .venv/.installed
UV := .bootstrap/bin/uv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
unexport PYTHONDONTWRITEBYTECODE # many processes start here, and each would compile all that it imports
comma := ,
option = $(if $(strip $(2)),--$(1) "$(strip $(2))")

help:  ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || grep -E '^[a-z]+:.*##' Makefile
	@echo; echo 'Options: PRESET=smoke|quick|gpu|paper DATA=/path VARIANT=blur|blur_gamma RESULTS=/path PHOTOS=/path NOTEBOOKS="01 04" JOBS=2 FORCE=1 PORT=8899 ARGS=--no-browser'

install: $(INSTALLED)  ## create .venv with the pinned packages (done by the others when needed)

reproduce: $(INSTALLED)  ## run the notebooks through papermill, regenerate results/
	@$(BIN)/python -m deblurlib reproduce --preset $(strip $(PRESET)) $(call option,data,$(DATA)) $(call option,variant,$(VARIANT)) \
	  $(call option,results,$(RESULTS)) $(call option,notebooks,$(NOTEBOOKS)) $(call option,jobs,$(JOBS)) $(if $(strip $(FORCE)),--force)

# one thread in each of two processes: faster than two threads on two cores, and less sensitive to other load
test: export OMP_NUM_THREADS := 1
test: $(INSTALLED)  ## run pytest, then every notebook through nbval; results/ is not changed
	$(BIN)/python -m pytest tests -n 2 --dist loadfile
	DEBLURLIB_PRESET=smoke DEBLURLIB_RESULTS="$(CURDIR)/build/nbval" $(BIN)/python -m pytest notebooks -n 2 --dist loadscope \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/nbval_sanitize.cfg

test-slow: export OMP_NUM_THREADS := 1
test-slow: $(INSTALLED)  ## run the tests that take minutes
	$(BIN)/python -m pytest tests -n 2 -m slow
	$(MAKE) chaos
	$(MAKE) mutants

chaos: $(INSTALLED)  ## kill commands, fill the disk, damage files, start rivals; then compare the results
	$(BIN)/python -m tests.chaos $(call option,results,$(RESULTS))

mutants: export OMP_NUM_THREADS := 1
mutants: $(INSTALLED)  ## change the core line by line and list the changes that no test notices
	@mkdir -p build
	$(BIN)/mutmut run --max-children 2 > build/mutants.log 2>&1
	@$(BIN)/mutmut results

sanitize: $(INSTALLED)  ## run the C kernels under the sanitizers for addresses and undefined behaviour
	$(BIN)/python -m pytest tests/ops/test_sanitizers.py -m slow

# a container's only user is often root, who has no browser there either
lab: $(INSTALLED)  ## open the book in JupyterLab (PORT=8899, ARGS=--no-browser on a machine without one)
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks $(call option,port,$(PORT)) \
	  $(if $(filter none,$(BROWSER)),--no-browser) $(if $(filter 0,$(shell id -u)),--allow-root) $(strip $(ARGS))

site: $(INSTALLED)  ## write the book as web pages into build/site
	@rm -rf build/site
	@$(BIN)/python -m deblurlib site build/site

lint: $(INSTALLED)  ## check code and notebooks with ruff, and the package's types with mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)  ## time operators and networks on this machine against plain PyTorch, into results/
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m deblurlib bench $(call option,results,$(RESULTS))

gpu: $(INSTALLED)  ## on a machine with a GPU, in 8 minutes: its tests, the operators' times, then the recipe of the shipped SVDN
	$(BIN)/python -m pytest tests/ops/test_gpu.py -q
	timeout --preserve-status --signal TERM 120 $(BIN)/python -m deblurlib bench operators --device cuda $(call option,results,$(RESULTS))
	-timeout --preserve-status --signal TERM 300 $(BIN)/python -m deblurlib train shipped:svdn_full --device cuda --workers 8 \
	  $(call option,photos,$(PHOTOS)) $(call option,results,$(RESULTS))

notebooks: $(INSTALLED)  ## execute the committed notebooks in place (NOTEBOOKS="01 04" for some)
	@$(BIN)/python -m deblurlib refresh $(call option,notebooks,$(NOTEBOOKS)) $(call option,jobs,$(JOBS))

pins: $(UV)  ## recompile requirements.txt from requirements.in
	$(UV) pip compile --universal --no-header --no-annotate --no-emit-index-url --python-version 3.11 requirements.in -o requirements.txt

clean:  ## remove caches, logs and executed copies (trainings in results/runs stay)
	rm -rf build dist mutants .pytest_cache .ruff_cache .mypy_cache results/notebooks results/logs
	find deblurlib tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

distclean: clean  ## remove also the environment and all trainings
	rm -rf .venv .bootstrap results/runs *.egg-info

# pip alone brings uv, which installs the rest five times faster and needs neither ensurepip nor venv.
$(UV):
	-@$(PYTHON) -m pip install --quiet --upgrade --target .bootstrap uv

# the first words of a recipe line: uv where it is available, otherwise pip
PIP = export VIRTUAL_ENV="$(CURDIR)/.venv" PIP_YES=1; pip="$(UV) pip"; [ -x $(UV) ] || pip="$(BIN)/python -m pip"

$(INSTALLED): requirements.txt pyproject.toml | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python {sys.version.split()[0]} is too old: set PYTHON to version 3.11 or newer.")'
	@if [ -x $(UV) ]; then \
	  $(UV) venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv; \
	else \
	  echo "uv is not available: installing with pip, which takes a few minutes."; \
	  $(PYTHON) -m venv .venv; \
	fi
	@echo "Installing the packages of requirements.txt into .venv: on Linux $(if $(strip $(CPU)),0.6 GB to download and 2 GB on the disk$(comma) without GPU libraries,3.4 GB to download and 6.6 GB on the disk; CPU=1 leaves the GPU libraries out)."
	@mkdir -p build; grep -Ev '$(if $(strip $(CPU)),^(cuda|nvidia|triton),^$$)' requirements.txt > build/requirements.txt
	@$(PIP); $$pip uninstall --quiet $(OPENCV) $(OPENCV)-headless 2>/dev/null; \
	  $$pip install --quiet $(if $(strip $(CPU)),--torch-backend cpu) -r build/requirements.txt -e .
	@$(MAKE) --no-print-directory opencv
	@touch $@

# OpenCV's full build loads libGL and others from the system. The headless build has the same functions, except windows, and loads none.
# Both own the same files, so one is removed before the other is installed.
OPENCV := opencv-contrib-python
opencv:
	@missing="$$($(BIN)/python -c 'import cv2' 2>&1 | sed -nE 's/^ImportError: (lib[^:]+): cannot open shared object file.*/\1/p')"; \
	if [ -n "$$missing" ]; then \
	  version="$$(sed -nE 's/^$(OPENCV)==([^ ;]+).*/\1/p' requirements.txt)"; \
	  echo "This system has no $$missing: installing $(OPENCV)-headless $$version in place of $(OPENCV)."; \
	  $(PIP); $$pip uninstall --quiet $(OPENCV) && $$pip install --quiet "$(OPENCV)-headless==$$version"; \
	fi
