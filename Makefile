# BertFinetune: `make demo` and `make test` do everything on a fresh Debian 12 machine. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL: # two cores, and steps that wait for each other

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bertfinetune
BUILD := .build
DEV := $(BUILD)/venv/dev
TRAINER := $(BUILD)/venv/trainer
DEV_PYTHON := PYTHONPATH=tests $(DEV)/bin/python
TRAINER_PYTHON := $(TRAINER)/bin/python
CLUSTER_PYTHON = PYTHON37="$$(tests/lab/setup/python.sh 3.7 $(CACHE))" TRAINER_PYTHON=$(TRAINER_PYTHON) $(DEV_PYTHON)
WEIGHTS := $(CACHE)/weights
FOR_ASCEND = $(if $(ASCEND_BASE),--ascend-base="$(ASCEND_BASE)")
NODE := $(BUILD)/venv/node
PYTORCH := $(BUILD)/venv/pytorch
PROMETHEUS = tests/lab/setup/debian-programs.sh $(CACHE) $(BUILD)/bin prometheus usr/bin/prometheus usr/bin/promtool
DOCKER = tests/lab/setup/debian-programs.sh $(CACHE) $(BUILD)/docker docker.io usr/sbin/dockerd usr/bin/docker
RESULTS := $(BUILD)/results
# TESTS="tests/api/test_target.py -k name" in place of a whole tier, which alone leaves results.
result = $(if $(TESTS),,--junitxml=$(RESULTS)/$(1).xml)
TWO_AT_A_TIME := $(if $(TESTS),,--numprocesses=2 --dist=loadscope)
HELMS_BUILT = $(and $(wildcard $(BUILD)/bin/helm),$(wildcard $(BUILD)/bin/helm4))
VERSIONS ?= 1.31 1.37
PEER ?= training-operator
DASHBOARDS := charts/bertfinetune-operator/files/dashboards

# A KUBECONFIG that merely lies in the environment does not point the demo at somebody's cluster; only the command line does.
ifeq ($(origin KUBECONFIG),command line)
OWN_CLUSTER := --kubeconfig="$(KUBECONFIG)" --registry="$(IMAGE_REGISTRY)" --confirm-context="$(CONFIRM_CONTEXT)"
endif
unexport KUBECONFIG
# What the tests call by name (promtool) is here.
export PATH := $(abspath $(BUILD)/bin):$(PATH)
# The corpus that the tests use: MRPC=folder, else what lies beside the project, else the sample that ships with it.
MRPC ?= $(wildcard ../shared/data/MRPC)
export BERTFINETUNE_MRPC := $(abspath $(or $(MRPC),tests/lab/demo/paraphrase_sample))

PACKAGES := python3 python3-venv ca-certificates iproute2 procps
CLUSTER_PACKAGES := containerd runc containernetworking-plugins iptables conntrack buildah debootstrap

##@ Use
.PHONY: help demo demo-inputs preflight cluster-up cluster-down kubectl
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup-trainer ## fine-tune BERT on a real Kubernetes with simulated Ascend cards [DATA=folder] [KUBECONFIG= IMAGE_REGISTRY= CONFIRM_CONTEXT=]
	@tests/lab/setup/apt-packages.sh $(CLUSTER_PACKAGES)
	@tests/lab/setup/beside.sh $(BUILD)/logs/demo-inputs.log $(MAKE) demo-inputs -- $(MAKE) setup-go
	@$(CLUSTER_PYTHON) -m lab.demo --python37=$(TRAINER_PYTHON) $(if $(DATA),--data="$(DATA)") $(OWN_CLUSTER)

demo-inputs: $(WEIGHTS)/minilm # mostly downloads, so they are made beside the compiler
	@$(CLUSTER_PYTHON) -m lab.images demo

preflight: ## tell whether a cluster is ready for a first run, and what is missing; it only reads [KUBECONFIG= CONTEXT= NAMESPACE=]
	@PYTHONPATH=operator/preflight "$$(tests/lab/setup/python.sh 3.11 $(CACHE))" -m bertfinetune_preflight --kubeconfig="$(KUBECONFIG)" --context="$(CONTEXT)" --namespace="$(NAMESPACE)"

cluster-up: setup-cluster ## start a real one-node Kubernetes on this machine
	@$(CLUSTER_PYTHON) -m lab.cluster up

cluster-down: $(DEV) ## stop exactly what cluster-up started
	@$(DEV_PYTHON) -m lab.cluster down

kubectl: ## run kubectl on that cluster: make kubectl ARGS="get bft -A"
	@$(BUILD)/bin/kubectl --kubeconfig=/var/lib/bertfinetune-cluster/kubeconfig $(ARGS)

##@ Test
.PHONY: check lint fmt test test-graph test-api test-versions test-node test-pages test-release
check: setup-dev setup-trainer ## linters, types and unit tests: less than two minutes; no cluster, no TensorFlow graph, no network
	@rm -rf $(RESULTS)
	@tests/lab/setup/lint.sh $(DEV) $(TRAINER) $(RESULTS)
	@$(DEV_PYTHON) -m pytest $(call result,check) --numprocesses=2 $(if $(HELMS_BUILT),,--ignore=tests/unit/chart) tests/unit
	@$(TRAINER_PYTHON) -m pytest -c tests/pytest-py37.ini $(call result,check-trainer) --numprocesses=2 tests/unit/trainer
	@echo "make check: linters, types and unit tests passed$(if $(HELMS_BUILT),,; tests/unit/chart waits for Helm, which make test builds)"

fmt: setup-dev ## format the code
	@$(DEV)/bin/ruff check --quiet --fix . ; $(DEV)/bin/ruff format --quiet . ; $(DEV)/bin/clang-format -i trainer_image/kernels/*.cc

test: setup-chart ## everything that a commit must pass: check, graph, api and node, with a table of durations
	@$(MAKE) check
	@$(MAKE) test-graph
	@$(MAKE) test-api
	@$(MAKE) test-node
	@$(DEV_PYTHON) -m lab.durations $(RESULTS)
	@echo "make test: all of check, test-graph, test-api and test-node passed"

test-graph: setup-trainer $(WEIGHTS)/minilm ## TensorFlow 1.15 graphs, whole tiny trainings and the simulated npu_bridge
	@$(PROMETHEUS) # for promtool
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin versitygw
	@$(TRAINER_PYTHON) -m pytest -c tests/pytest-py37.ini $(call result,graph) $(TWO_AT_A_TIME) $(or $(TESTS),tests/graph/trainer tests/graph/weights)
	@$(if $(TESTS),,$(TRAINER_PYTHON) -m pytest -c tests/pytest-py37.ini $(call result,graph-ascend) $(TWO_AT_A_TIME) tests/graph/ascend) # apart: it puts a simulated npu_bridge on the path

test-api: setup-api ## admission, rights, chart and the operator's process on a real API server without a node
	@$(CLUSTER_PYTHON) -m pytest $(call result,api) $(or $(TESTS),tests/api)

test-versions: setup-api ## the same but for alerts, on the oldest and on the newest Kubernetes that the chart is for [VERSIONS="1.31 1.37"]
	@for version in $(VERSIONS); do \
	  tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/kubernetes-$$version kubernetes-$$version; \
	  echo "==> Kubernetes $$version"; \
	  BERTFINETUNE_KUBERNETES=$(BUILD)/kubernetes-$$version BERTFINETUNE_KUBERNETES_VERSION=$$version $(CLUSTER_PYTHON) -m pytest $(or $(TESTS),--ignore=tests/api/monitoring tests/api); \
	done
	@echo "make test-versions: passed on Kubernetes $(VERSIONS)"

test-node: setup-monitoring setup-chart ## real trainings on a real kubelet: results, faults, monitoring, network policies, and the commands of changed pages
	@tests/lab/setup/apt-packages.sh ipset # for kube-router, which enforces network policies
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin registry kube-router kueue versitygw
	@$(if $(TESTS),,if [[ "$$($(DEV_PYTHON) -m pages.record --changed)" == *trainer_image/README.md* ]]; then tests/lab/setup/apt-packages.sh maven; fi) # the page fetches BERT-Base
	@$(CLUSTER_PYTHON) -m pytest $(call result,node) $(or $(TESTS),tests/node --changed-pages tests/pages)

test-pages: setup-monitoring setup-chart $(WEIGHTS)/minilm $(if $(TESTS),,$(WEIGHTS)/bert-base-uncased) ## run every command in the Markdown, list what cannot be run, and record what was
	@tests/lab/setup/apt-packages.sh ipset # for kube-router: the runbooks are followed with network policies in force
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin kube-router
	@$(if $(TESTS),,$(DEV_PYTHON) -m pages.listing)
	@$(CLUSTER_PYTHON) -m pytest $(call result,pages) $(or $(TESTS),tests/pages)
	@$(if $(TESTS),,$(DEV_PYTHON) -m pages.record)

test-release: setup-trainer setup-cluster setup-release $(WEIGHTS)/minilm $(WEIGHTS)/bert-base-uncased ## the images that ship and the bundle: built twice, their SBOMs, an installation from the bundle alone; then the pages' long commands
	@tests/lab/setup/apt-packages.sh skopeo
	@$(DOCKER)
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin registry kwok
	@$(if $(TESTS),,$(TRAINER_PYTHON) -m pytest -c tests/pytest-py37.ini tests/release/trainer)
	@$(CLUSTER_PYTHON) -m pytest $(or $(TESTS),--ignore=tests/release/test_commands.py tests/release)
	@$(if $(TESTS),,$(DEV_PYTHON) -m pytest tests/release/test_commands.py) # apart: some of these commands start a cluster of their own

##@ Measure
.PHONY: bench-operator bench-trainer accuracy accuracy-base
bench-operator: setup-go ## many objects at once beside bare Jobs and a peer, in Go; the last line is JSON [N=500] [PEER=training-operator|trainer|both|no] [CHECK=1] [RECORD=1]
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin kwok $(patsubst no,,$(PEER:both=training-operator trainer))
	@$(DEV_PYTHON) -m lab.bench.operator --n=$(or $(N),500) --peer=$(PEER) $(if $(CHECK),--check) $(if $(RECORD),--record)

bench-trainer: setup-trainer $(WEIGHTS)/minilm $(WEIGHTS)/bert-base-uncased ## our speed beside the published code's and PyTorch's (3 GB of packages), half an hour on two quiet cores; the last line is JSON [MRPC=folder] [EPOCHS=3]
	@tests/lab/setup/venv.sh $(PYTORCH) "$$(tests/lab/setup/python.sh 3.11 $(CACHE))" tests/lab/bench/pytorch/requirements.txt
	@PYTHONPATH=tests $(TRAINER_PYTHON) -m lab.bench.trainer.trainer --data="$(BERTFINETUNE_MRPC)" --small=$(WEIGHTS)/minilm --base=$(WEIGHTS)/bert-base-uncased --pytorch=$(PYTORCH)/bin/python --work=$(BUILD)/bench $(if $(EPOCHS),--epochs=$(EPOCHS))

accuracy: setup-trainer $(WEIGHTS)/minilm ## fine-tune the 6x384 model on MRPC with five seeds [MRPC=folder]
	@PYTHONPATH=tests $(TRAINER_PYTHON) -m lab.bench.trainer.accuracy --data="$(BERTFINETUNE_MRPC)" --weights=$(WEIGHTS)/minilm --work=$(BUILD)/accuracy

accuracy-base: setup-trainer $(WEIGHTS)/bert-base-uncased ## fine-tune BERT-Base on MRPC, half an hour or more; what was interrupted goes on [MRPC=folder]
	@PYTHONPATH=tests $(TRAINER_PYTHON) -m lab.bench.trainer.accuracy --data="$(BERTFINETUNE_MRPC)" --weights=$(WEIGHTS)/bert-base-uncased --work=$(BUILD)/accuracy

##@ Build
.PHONY: images bundle chart-package dashboards-shots generate lock clean
images: setup-release ## build the images that ship, by buildah or Docker, with an SBOM each, into .build/images [ASCEND_BASE=image of Ascend Hub]
	@$(CLUSTER_PYTHON) -m lab.images images --output=$(BUILD) $(FOR_ASCEND)

bundle: setup-release ## pack images, chart, CRD, dashboards and checksums into one archive for clusters without Internet [ASCEND_BASE=]
	@$(CLUSTER_PYTHON) -m lab.images bundle --output=$(BUILD) $(FOR_ASCEND)

chart-package: setup-chart ## package the chart into .build, the same bytes for one commit
	@$(DEV_PYTHON) -m lab.images chart --output=$(BUILD)

dashboards-shots: setup-monitoring ## let a real Prometheus answer the dashboards, and draw them with Grafana's components into operator/docs/images
	@tests/lab/setup/apt-packages.sh chromium fonts-inter
	@tests/lab/setup/venv.sh $(NODE) "$$(tests/lab/setup/python.sh 3.11 $(CACHE))" tests/lab/monitoring/viewer/requirements.txt
	@$(CLUSTER_PYTHON) -m pytest tests/node/monitoring
	@PATH="$(abspath $(NODE))/bin:$$PATH" tests/lab/monitoring/viewer/shoot.sh $(DASHBOARDS) $(BUILD)/dashboards/answers.json operator/docs/images

generate: setup-dev ## regenerate the checked-in files that are made from code
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin helm-docs
	@tests/lab/setup/generate.sh $(DEV)
	@$(BUILD)/bin/helm-docs --chart-search-root=charts --sort-values-order=file --log-level=warning

lock: setup-dev ## recompile the hash-pinned requirement files
	@tests/lab/setup/lock.sh $(CACHE)

clean: ## stop the cluster and delete everything that was built or stored, the volumes of the demo included
	@if [[ -d $(DEV) ]]; then $(DEV_PYTHON) -m lab.cluster down; fi
	rm -rf $(BUILD) $(CACHE) tests/lab/monitoring/viewer/{node_modules,package-lock.json} /var/lib/bertfinetune-cluster

# What a fresh machine lacks. Each step says what it does, and takes no time when there is nothing to do.
.PHONY: setup-dev setup-trainer setup-go setup-chart setup-api setup-cluster setup-release setup-monitoring $(DEV)
$(DEV) setup-dev:
	@tests/lab/setup/apt-packages.sh $(PACKAGES)
	@tests/lab/setup/venv.sh $(DEV) "$$(tests/lab/setup/python.sh 3.11 $(CACHE))" operator/requirements.txt tests/requirements.txt -- operator/src operator/dashboards operator/generators operator/preflight tests/lab/ascend/device_plugin

setup-trainer: setup-dev
	@tests/lab/setup/venv.sh $(TRAINER) "$$(tests/lab/setup/python.sh 3.7 $(CACHE))" trainer_image/requirements.txt trainer_image/requirements-tensorflow.txt tests/lab/trainer/requirements.txt -- trainer_image/src
	@tests/lab/setup/apt-packages.sh g++
	@trainer_image/kernels/build.sh $(TRAINER_PYTHON)

setup-go: setup-dev
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin pause kubernetes

setup-chart: setup-go
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin helm4 helm-unittest kube-score

setup-api: setup-chart setup-trainer
	@$(PROMETHEUS) # for promtool
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/crds prometheus-operator istio
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/crds-of-peers peers
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin registry helm-docs kstatus kueue

setup-cluster: setup-dev setup-go
	@tests/lab/setup/apt-packages.sh $(CLUSTER_PACKAGES)

setup-release: setup-dev
	@if command -v buildah >/dev/null || ! docker info >/dev/null 2>&1; then tests/lab/setup/apt-packages.sh buildah debootstrap; fi # else Docker builds
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/bin helm4 syft

setup-monitoring: setup-cluster setup-trainer
	@$(PROMETHEUS)
	@tests/lab/setup/go-tools.sh $(CACHE) $(BUILD)/crds prometheus-operator istio

# Real weights; a folder is complete when it is there.
$(WEIGHTS)/minilm: | setup-trainer
	@$(TRAINER_PYTHON) -m bert_weights minilm --output=$@

$(WEIGHTS)/bert-base-uncased: | setup-trainer
	@tests/lab/setup/apt-packages.sh maven
	@$(TRAINER_PYTHON) -m bert_weights bert-base-uncased --output=$@
