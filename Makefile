# Two commands do everything on a fresh machine: `make run` and `make test`.
# Each installs what it needs by itself, into this folder and nowhere else.

.DEFAULT_GOAL := help
SHELL := /bin/sh
# A terminal's own settings must not reach the builds: SAM, boto3 and uv would all read them.
unexport AWS_PROFILE AWS_DEFAULT_PROFILE VIRTUAL_ENV PYTHONPATH
# The layer's byte code is part of the artefact, whatever this shell prefers.
unexport PYTHONDONTWRITEBYTECODE

UV := $(shell command -v uv 2>/dev/null || echo .venvs/uv/bin/uv)
PYTHON313_FILE := .venvs/python313
UV_SYNC = UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --frozen --python "$$(cat $(PYTHON313_FILE))"
PY := .venv/bin/python
SAM := .venvs/sam/bin/sam

.PHONY: help
help: ## Say what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- environments ---------------------------------------------------------------------------------------------------

.venvs/uv/bin/uv: sandbox/bootstrap/uv.txt
	@echo "Installing uv into .venvs/uv"
	@python3 -m venv --clear .venvs/uv || { echo "python3 with its venv module is needed to start (Debian: apt install python3-venv), or install uv yourself." >&2; exit 1; }
	@.venvs/uv/bin/python -m pip --quiet install --require-hashes --no-deps -r $<
	@touch $@

$(PYTHON313_FILE): | $(UV)
	@mkdir -p .venvs
	@sandbox/bootstrap/python313 $(UV) > $@.new && mv $@.new $@

.venv/.ready: pyproject.toml uv.lock $(PYTHON313_FILE)
	@echo "Installing the development environment into .venv"
	@$(UV_SYNC)
	@touch $@

.venvs/%/.ready: pyproject.toml uv.lock $(PYTHON313_FILE)
	@echo "Installing the $* environment into .venvs/$*"
	@UV_PROJECT_ENVIRONMENT=.venvs/$* $(UV_SYNC) --only-group $* --compile-bytecode
	@touch $@

.PHONY: install
install: .venv/.ready .venvs/sam/.ready .venvs/cloud/.ready .venvs/runtime/.ready ## Make the four environments

.PHONY: lock
lock: $(PYTHON313_FILE) ## Renew uv.lock and the layer's hash-locked requirements
	$(UV) lock --upgrade --python "$$(cat $(PYTHON313_FILE))"
	$(UV) export --quiet --frozen --only-group layer --no-emit-project --no-header --format requirements-txt -o shared/requirements.txt

# --- checks and tests -----------------------------------------------------------------------------------------------

.PHONY: check
check: .venv/.ready ## Lint, types and import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PYTHONPATH=shared .venv/bin/lint-imports

.PHONY: clean
clean: ## Remove every environment, build and run state
	rm -rf .venv .venvs .aws-sam .run .build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
