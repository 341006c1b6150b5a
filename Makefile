# `make run` starts the whole mesh and shows what it does; `make test` proves that it works.

CARGO ?= cargo
LEPTON = target/release/lepton

# What `--version` says: the release and the commit that it was built from.
export LEPTON_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1) ($(shell git rev-parse --short HEAD 2>/dev/null || echo unknown))

# The one program is every service, called by its name.
SERVICES = gateway scheduler worker monitor

.PHONY: run build test test-fast simulate bench-telemetry compose-test fmt lint

## Builds, starts the mesh in the foreground and runs a short demo against it. Ctrl-C drains it and ends it.
run: build
	@deploy/demo/run $(LEPTON)

build:
	@deploy/setup build
	$(CARGO) build --release --locked --package lepton
	@for service in $(SERVICES); do ln -sfn lepton "$(dir $(LEPTON))lepton-$$service"; done

## Installs what the tests need and runs all of them.
test:
	@deploy/setup test
	$(CARGO) build --workspace --locked --bins
	$(CARGO) test --workspace --locked --no-fail-fast

## The tests that start no process of the mesh: unit, golden, house rules, and the simulation with some seeds.
test-fast:
	@deploy/setup build
	$(CARGO) test --workspace --locked --no-fail-fast --lib --test golden --test tidy --test simulation

## Runs the whole mesh under faults in simulated time: SEEDS=1000 runs seeds 1 to 1000, SEED=17 that one, with its history.
simulate:
	@deploy/setup build
	LEPTON_SIMULATE_SEEDS=$(SEEDS) LEPTON_SIMULATE_SEED=$(SEED) \
		$(CARGO) test --profile simulation --locked --package lepton-tests --test simulation -- --nocapture every_seed

## Measures the processor time that telemetry costs a request, unsampled and sampled.
bench-telemetry:
	$(CARGO) bench --locked -p lepton-mesh --bench telemetry

## Runs the containers of deploy/compose.yaml for real, in use and in trouble. Needs a Docker engine; `FULL=--full` builds
## the program inside the image, LEPTON_BINARY=... packages that one, LEPTON_KEEP_IMAGES=1 keeps base images built here.
compose-test:
	@deploy/compose-test $(FULL)

fmt:
	$(CARGO) fmt --all

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
