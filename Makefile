# The checks, one target each. script/test runs the same targets; CONTRIBUTING.md says how long each takes.
.PHONY: help setup lint types shell imports language docs unit vm check mutants lock audit
.DEFAULT_GOAL := help
bin := .venv/bin
# The same random examples each time: whether a commit passes depends on the commit alone. SLOW=1 adds the tests that take minutes;
# FAST=1 leaves out those that need a browser, Dask, dnf or the policy compilers, measure growth or start programs that take long,
# and most hostile values.
marks := $(if $(SLOW),,-m "not slow$(if $(FAST), and not browser and not dask and not dnf and not growth and not hostile and not program and not toolchain)")
# Without compiled files, each process of the tests, and each selab that they start, compiles all modules first.
unexport PYTHONDONTWRITEBYTECODE
pytest := $(bin)/pytest --hypothesis-profile=$(if $(FAST),quick,ci) $(marks)
# A random order, which is the same each time: SEED=2 is another one, and SEED=default a new one each time.
order := -p randomly --randomly-seed=$(or $(SEED),1)
# One process more than processors, because some tests wait for a program; FAST=1 leaves out most of these, and each process takes
# seconds to collect the tests. PROCESSES=0 runs all tests in one process.
processes := -n $(or $(PROCESSES),$(shell expr $$(getconf _NPROCESSORS_ONLN) + $(if $(FAST),0,1))) --dist worksteal
# VMS=2 runs the tests in two processes, each with a VM of its own. An emulated VM rarely uses two processors at a time.
vms := $(if $(VMS),-n $(VMS) --dist loadfile --no-loadscope-reorder)
# The unit tests write thousands of small files: in memory if there is room, and programs may be run there.
memory := $(shell [ -w /dev/shm ] && [ "$$(df --output=avail /dev/shm | tail -n 1)" -gt 1048576 ] && \
  ! grep -q '^[^ ]* /dev/shm .*noexec' /proc/mounts && echo /dev/shm)

# A test that hangs ends its process after five minutes: pytest shows the stacks and names the test, instead of waiting for ever.
# On the VM only the stacks are shown, because the VM has to be removed.
hang := -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
hang_vm := -o faulthandler_timeout=1200

# COVERAGE=1 measures which branches the unit tests take, which makes them slower; CI sets it.
data := $(CURDIR)/.pytest_cache/coverage
coverage := $(if $(COVERAGE),--cov=selab --cov-branch --cov-report=)

help: ## List the targets.
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## Install packages and the virtual environment, with the tools of the tests.
	script/setup -y --dev

lint: ## Style and likely bugs (ruff).
	$(bin)/ruff check .
	$(bin)/ruff format --check .

types: ## Types (mypy, strict).
	$(bin)/mypy

shell: ## Shell scripts, also those that run in the guest (shellcheck).
	script/lint-shell

imports: ## The import contract (import-linter).
	$(bin)/lint-imports

language: ## Spelling (codespell), and the phrases that selab does not use.
	$(bin)/codespell
	script/check-language

docs: ## Write docs/reference/ and the tables of guest-state.md again; check links, shown commands and the reference.
	script/reference
	$(pytest) -q tests/unit/test_docs_links.py tests/unit/test_reference.py tests/unit/cli/test_docs.py tests/unit/cli/test_shown.py

unit: export PYTEST_DEBUG_TEMPROOT := $(memory)
unit: ## The unit tests, in a random order and in several processes; COVERAGE=1 shows the branches that they take.
	$(if $(COVERAGE),COVERAGE_FILE=$(data) )$(pytest) $(order) $(processes) $(hang) $(coverage) tests/unit $(if $(FAST),,tests/hostile tests/dnf)
	$(if $(COVERAGE),$(bin)/python script/branch_coverage.py $(data))

vm: ## The tests on a real VM, without the slow ones; shows which took longest.
	$(pytest) -p no:randomly $(vms) $(hang_vm) --durations=25 tests/vm

check: lint types shell imports language unit ## Everything that needs no VM.

mutants: ## Check which faults the unit tests notice in a change (SINCE=COMMIT), in MODULES=selab/run, or everywhere (ALL=1).
	script/mutants $(if $(ALL),--all) $(if $(SINCE),--since $(SINCE)) $(if $(PROCESSES),--processes $(PROCESSES)) $(if $(ONE_IN),--one-in $(ONE_IN)) $(MODULES)

lock: ## Pin the packages of pyproject.toml again, with their hashes (needs uv); UPGRADE=1 takes the newest versions.
	script/lock $(if $(UPGRADE),--upgrade)

audit: ## Ask the advisory service for known faults in the pinned packages (needs pip-audit); fails if it cannot ask.
	script/audit
