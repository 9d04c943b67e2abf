# Every command of this project; CI and people run the same ones. `make` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Newer than requirements.lock and pyproject.toml when what they say is installed.
INSTALLED := $(VENV)/installed
IMAGE_PACKAGES := $(shell sed 's/\#.*//' tests/image/apt-packages.txt)
TEST_PACKAGES := $(shell sed 's/\#.*//' tests/apt-packages.txt)
# Of pytest. Twice the cores of a small machine: for half of their time tests wait, for S3, clients and the disk.
WORKERS := 4
# Other S3 servers that tests talk to, and a class that ours stands in for, each in an environment of its own: what they
# need does not go together. NAME.overrides, where there is one, says what of that is not needed here.
SERVERS := localstack swift s3-simple-compress
# Ansible, linters and a stand-in for EC2, for the image.
IMAGE_TOOLS := $(VENV)/servers/image

# Each worker and each command would compile all that it imports at each run.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo serve test image-test image-test-vm wheelhouse ami chaos lint types bench dashboard lock clean packages image-packages base-tree compiled-tests servers

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(INSTALLED) ## try it here: no AWS account, no root (KEEP=1 leaves it running)
	@$(BIN)/python -m bucketzip.demo $(if $(KEEP),--keep)

serve: $(INSTALLED) ## run the server (ARGS="--port 8080")
	@$(BIN)/bucketzip serve $(ARGS)

# Neighbours stay together, unless a worker has nothing left to do: they share what is made once a module or a worker.
test: packages servers compiled-tests lint types ## style, types and tests (ARGS="-k name" for pytest)
	$(BIN)/pytest -n $(WORKERS) --dist=worksteal $(ARGS)

image-test: $(INSTALLED) image-packages base-tree $(IMAGE_TOOLS)/installed ## build the image without AWS, boot two of it, break them (root; 8 minutes)
	IMAGE_TOOLS=$(abspath $(IMAGE_TOOLS))/bin $(BIN)/pytest --timeout=1800 --durations=0 --durations-min=1 tests/image $(ARGS)

image-test-vm: $(INSTALLED) $(IMAGE_TOOLS)/installed ## the same image with a kernel of its own, in qemu (root; by hand)
	@$(call install_debian,$(IMAGE_PACKAGES) qemu-system-x86)
	IMAGE_TOOLS=$(abspath $(IMAGE_TOOLS))/bin $(BIN)/python -m tests.image.vm

wheelhouse: $(INSTALLED) ## everything that the image installs by pip, in build/image (ARCH=arm64)
	@$(BIN)/python ansible/wheelhouse.py $(or $(ARCH),amd64)

ami: wheelhouse $(IMAGE_TOOLS)/installed ## build the image on AWS, with a Packer and credentials of yours (ARCH=arm64, REGION=)
	@PATH="$(abspath $(IMAGE_TOOLS))/bin:$$PATH" $(BIN)/python packer/ami.py $(or $(ARCH),amd64) $(or $(REGION),us-east-1) $(ARGS)

chaos: $(INSTALLED) ## kill the server and the command at hundreds of random moments (SEEDS=500)
	SEEDS=$(or $(SEEDS),500) AWAY_SECONDS=60 $(BIN)/pytest -n $(WORKERS) tests/jobs/test_chaos.py tests/test_zip_compressed.py $(ARGS)

lint: $(INSTALLED) ## style, and which package may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(INSTALLED) ## types, strictly
	$(BIN)/mypy

bench: $(INSTALLED) ## measure it against its peers (ARGS="--help")
	@$(BIN)/python -m bench $(ARGS)

dashboard: $(INSTALLED) ## write grafana/dashboards/bucketzip.json
	@$(BIN)/python -m grafana

lock: $(BIN)/uv ## write requirements.lock from pyproject.toml (UPGRADE=1 takes the newest of everything)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet $(if $(UPGRADE),--upgrade) -o requirements.lock
	for server in $(SERVERS); do \
		overrides=tests/servers/$$server.overrides; \
		$(BIN)/uv pip compile tests/servers/$$server.in $$(test ! -f $$overrides || echo --override $$overrides) \
			--universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-header --quiet $(if $(UPGRADE),--upgrade) -o tests/servers/$$server.lock || exit 1; \
	done
	$(BIN)/uv pip compile tests/image/tools.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet $(if $(UPGRADE),--upgrade) -o tests/image/tools.lock

clean: ## remove all that these commands made
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find server tests bench -name __pycache__ -prune -exec rm -rf {} +

packages:
	@$(call install_debian,$(TEST_PACKAGES))

image-packages:
	@$(call install_debian,$(IMAGE_PACKAGES))

# In the background, while types are checked. All workers begin with all tests, and would each compile them otherwise.
compiled-tests: $(INSTALLED)
	@test -d tests/__pycache__ || $(BIN)/pytest --collect-only -qq >/dev/null 2>&1 &

# In the background, while Ansible and moto are installed.
base-tree: image-packages
	@$(BIN)/python -m tests.image.trees build/image >/dev/null &

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=python3.13' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call install_debian,python3-venv); }
	@echo 'installing into $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

servers: $(INSTALLED) $(SERVERS:%=$(VENV)/servers/%/installed)

$(VENV)/servers/%/installed: tests/servers/%.lock
	@echo 'installing $* for the tests'
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --use-pep517 --no-deps --require-hashes -r $<
	@$(prepare_$*)
	@touch $@

$(IMAGE_TOOLS)/installed: tests/image/tools.lock
	@echo 'installing Ansible and moto for the image'
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r $<
	@touch $@

# The index of AWS's services that LocalStack would make at each start otherwise, which takes 8 s.
define prepare_localstack
	mkdir -p $(@D)/usr/lib/localstack; \
	HOME=$(@D) FILESYSTEM_ROOT=$(@D) OVERRIDE_IN_DOCKER=0 $(@D)/bin/python -m localstack.aws.spec
endef

$(BIN)/uv:
	@$(MAKE) $(INSTALLED)

# Installs the packages of $(1) that are missing where this is root, and says what to do where it is not.
define install_debian
	if ! command -v dpkg-query >/dev/null; then echo 'not Debian: what corresponds to these must be there: $(1)'; exit 0; fi; \
	missing=''; \
	for package in $(1); do \
		dpkg-query --show --showformat='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed \
			|| missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" -ne 0 ]; then \
		echo "missing:$$missing" >&2; echo "  sudo apt-get install$$missing" >&2; exit 1; \
	fi; \
	echo "installing$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 $$missing >/dev/null
endef
