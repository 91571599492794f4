# `make run` and `make test` are all that a newcomer needs; both set up what they use.

CARGO ?= cargo
CONFIG ?= tests/data/config.yaml
CLUSTER ?= tests/data/cluster.json

.PHONY: help run test test-alerts fmt lint bench docs

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Serve the webhook on a recorded cluster: CONFIG=… CLUSTER=… for your own
	$(CARGO) run --quiet -- serve --config $(CONFIG) --cluster $(CLUSTER)

test: ## Check formatting, lints and documentation, and run every test
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --locked --quiet
	$(CARGO) test --locked
	$(MAKE) test-alerts

test-alerts: ## Test the alerts, and check their runbooks and the dashboard
	tests/alerts/run

fmt: ## Format the code
	$(CARGO) fmt

lint: ## Check lints only
	$(CARGO) clippy --all-targets --locked -- -D warnings

bench: ## Measure: decisions, then a load run against the server and a no-op
	$(CARGO) bench --bench decide
	$(CARGO) bench --bench load

docs: ## Write again what is generated from the code
	$(CARGO) run --quiet -- config schema > docs/config.schema.json
