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
CLUSTER_PYTHON = PYTHON37="$$(tests/setup/python.sh 3.7 $(CACHE))" TRAINER_PYTHON=$(TRAINER_PYTHON) $(DEV_PYTHON)
MONITORING_TESTS := tests/monitoring tests/chart/test_monitoring.py tests/chart/test_monitoring_cluster.py tests/chart/test_scrape_configs.py
WEIGHTS := $(CACHE)/weights
FOR_ASCEND = $(if $(ASCEND_BASE),--ascend-base="$(ASCEND_BASE)")
NODE := $(BUILD)/venv/node
PYTORCH := $(BUILD)/venv/pytorch
PROMETHEUS = tests/setup/debian-programs.sh $(CACHE) $(BUILD)/bin prometheus usr/bin/prometheus usr/bin/promtool
DOCKER = tests/setup/debian-programs.sh $(CACHE) $(BUILD)/docker docker.io usr/sbin/dockerd usr/bin/docker
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
export BERTFINETUNE_MRPC := $(abspath $(or $(MRPC),tests/demo/paraphrase_sample))

PACKAGES := python3 python3-venv ca-certificates iproute2 procps
CLUSTER_PACKAGES := containerd runc containernetworking-plugins iptables conntrack buildah debootstrap

##@ Use
.PHONY: help demo cluster-up cluster-down kubectl
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup-cluster setup-trainer ## fine-tune BERT on a real Kubernetes with simulated Ascend cards [DATA=folder] [KUBECONFIG= IMAGE_REGISTRY= CONFIRM_CONTEXT=]
	@$(CLUSTER_PYTHON) -m demo --python37=$(TRAINER_PYTHON) $(if $(DATA),--data="$(DATA)") $(OWN_CLUSTER)

cluster-up: setup-cluster ## start a real one-node Kubernetes on this machine
	@$(CLUSTER_PYTHON) -m cluster up

cluster-down: $(DEV) ## stop exactly what cluster-up started
	@$(DEV_PYTHON) -m cluster down

kubectl: ## run kubectl on that cluster: make kubectl ARGS="get bft -A"
	@$(BUILD)/bin/kubectl --kubeconfig=/var/lib/bertfinetune-cluster/kubeconfig $(ARGS)

##@ Test
.PHONY: test lint fmt test-operator test-trainer test-monitoring test-chart test-docs test-release e2e
test: lint test-trainer test-operator e2e ## everything but test-release: linters, unit and property tests, real API server, end to end on a real kubelet
	@echo "make test: all of lint, test-trainer, test-operator and e2e passed"

lint: setup-dev setup-trainer setup-chart ## formatters, linters, types, layers, drift of generated files, Dockerfiles, chart
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin helm-docs
	@tests/setup/lint.sh $(DEV) $(TRAINER) $(BUILD)/bin

fmt: setup-dev ## format the code
	@$(DEV)/bin/ruff check --quiet --fix . ; $(DEV)/bin/ruff format --quiet . ; $(DEV)/bin/clang-format -i trainer_image/kernels/*.cc

test-trainer: setup-trainer $(WEIGHTS)/minilm $(WEIGHTS)/bert-base-uncased ## the trainer, the weights tool and the simulated npu_bridge, on CPython 3.7 and TensorFlow 1.15.0
	@$(PROMETHEUS) # for promtool
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin versitygw
	@$(TRAINER_PYTHON) -m pytest -c tests/pytest-py37.ini tests/trainer tests/weights
	@$(TRAINER_PYTHON) -m pytest -c tests/pytest-py37.ini tests/ascend_sim/py37 # apart: it puts a simulated npu_bridge on the path

test-operator: setup-chart setup-trainer $(WEIGHTS)/minilm $(WEIGHTS)/bert-base-uncased ## the operator, the contract, the device plugin and the tools, without a cluster
	@$(PROMETHEUS) # for promtool
	@$(DEV_PYTHON) -m pytest -m "not cluster"

test-monitoring: setup-monitoring ## rules, runbooks and dashboards, and every query of theirs to a real Prometheus that watches real runs
	@$(DEV_PYTHON) -m pytest -m "not cluster" $(MONITORING_TESTS)
	@$(CLUSTER_PYTHON) -m pytest -m cluster $(MONITORING_TESTS)

test-docs: setup-monitoring setup-chart $(WEIGHTS)/minilm $(WEIGHTS)/bert-base-uncased ## run every command in the Markdown, check its links and tables, and list what cannot be run
	@$(DEV_PYTHON) -m docs.listing
	@$(DEV_PYTHON) -m pytest -m "not cluster" tests/docs
	@$(CLUSTER_PYTHON) -m pytest -m cluster tests/docs

test-chart: setup-monitoring setup-chart ## the chart by Helm 3 and 4: lint, unit tests, ci/*-values.yaml on a real API server, kube-score, the life of a release
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin registry
	@$(DEV_PYTHON) -m pytest -m "not cluster" tests/chart
	@$(CLUSTER_PYTHON) -m pytest -m cluster tests/chart

test-release: setup-trainer setup-cluster setup-release ## the images that ship and the bundle: built twice, their SBOMs, an installation from the bundle alone; then the pages' long commands
	@tests/setup/apt-packages.sh skopeo
	@$(DOCKER)
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin registry
	@$(DEV_PYTHON) -m pytest -m "not cluster" tests/release
	@$(CLUSTER_PYTHON) -m pytest -m cluster --ignore=tests/release/test_commands.py tests/release
	@$(DEV_PYTHON) -m pytest tests/release/test_commands.py # apart: some of these commands start a cluster of their own

e2e: setup-monitoring setup-chart ## the real API server and kubelet: admission, operator, simulated cards, a whole fine-tuning
	@tests/setup/apt-packages.sh ipset # for kube-router, which enforces network policies
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin registry kwok kube-router
	@$(CLUSTER_PYTHON) -m pytest -m cluster --ignore=tests/bench_operator --ignore=tests/release
	@$(DEV_PYTHON) -m pytest -m cluster tests/bench_operator # apart: it starts a control plane of its own

##@ Measure
.PHONY: bench-operator bench-trainer accuracy accuracy-base
bench-operator: setup-go ## many objects at once beside bare Jobs and Kubeflow's training-operator; the last line is JSON [N=500] [PEER=no] [CHECK=1]
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin kwok $(if $(filter no,$(PEER)),,training-operator)
	@$(DEV_PYTHON) -m bench_operator --n=$(or $(N),500) --peer=$(or $(PEER),yes) $(if $(CHECK),--check)

bench-trainer: setup-trainer $(WEIGHTS)/minilm $(WEIGHTS)/bert-base-uncased ## our speed beside the published code's and PyTorch's (3 GB of packages), half an hour on two quiet cores; the last line is JSON [MRPC=folder] [EPOCHS=3]
	@tests/setup/venv.sh $(PYTORCH) "$$(tests/setup/python.sh 3.11 $(CACHE))" tests/bench_pytorch/requirements.txt
	@PYTHONPATH=tests $(TRAINER_PYTHON) -m bench.trainer --data="$(BERTFINETUNE_MRPC)" --small=$(WEIGHTS)/minilm --base=$(WEIGHTS)/bert-base-uncased --pytorch=$(PYTORCH)/bin/python --work=$(BUILD)/bench $(if $(EPOCHS),--epochs=$(EPOCHS))

accuracy: setup-trainer $(WEIGHTS)/minilm ## fine-tune the 6x384 model on MRPC with five seeds [MRPC=folder]
	@PYTHONPATH=tests $(TRAINER_PYTHON) -m bench.accuracy --data="$(BERTFINETUNE_MRPC)" --weights=$(WEIGHTS)/minilm --work=$(BUILD)/accuracy

accuracy-base: setup-trainer $(WEIGHTS)/bert-base-uncased ## fine-tune BERT-Base on MRPC, half an hour or more; what was interrupted goes on [MRPC=folder]
	@PYTHONPATH=tests $(TRAINER_PYTHON) -m bench.accuracy --data="$(BERTFINETUNE_MRPC)" --weights=$(WEIGHTS)/bert-base-uncased --work=$(BUILD)/accuracy

##@ Build
.PHONY: images bundle chart-package dashboards-shots generate lock clean
images: setup-release ## build the images that ship, by buildah or Docker, with an SBOM each, into .build/images [ASCEND_BASE=image of Ascend Hub]
	@$(CLUSTER_PYTHON) -m release images --output=$(BUILD) $(FOR_ASCEND)

bundle: setup-release ## pack images, chart, CRD, dashboards and checksums into one archive for clusters without Internet [ASCEND_BASE=]
	@$(CLUSTER_PYTHON) -m release bundle --output=$(BUILD) $(FOR_ASCEND)

chart-package: setup-chart ## package the chart into .build, the same bytes for one commit
	@$(DEV_PYTHON) -m release chart --output=$(BUILD)

dashboards-shots: setup-monitoring ## let a real Prometheus answer the dashboards, and draw them with Grafana's components into operator/docs/images
	@tests/setup/apt-packages.sh chromium fonts-inter
	@tests/setup/venv.sh $(NODE) "$$(tests/setup/python.sh 3.11 $(CACHE))" tests/monitoring/viewer/requirements.txt
	@$(CLUSTER_PYTHON) -m pytest -m cluster tests/monitoring
	@PATH="$(abspath $(NODE))/bin:$$PATH" tests/monitoring/viewer/shoot.sh $(DASHBOARDS) $(BUILD)/dashboards/answers.json operator/docs/images

generate: setup-dev ## regenerate the checked-in files that are made from code
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin helm-docs
	@tests/setup/generate.sh $(DEV) $(BUILD)/bin

lock: setup-dev ## recompile the hash-pinned requirement files
	@tests/setup/lock.sh $(CACHE)

clean: ## stop the cluster and delete everything that was built or stored, the volumes of the demo included
	@if [[ -d $(DEV) ]]; then $(DEV_PYTHON) -m cluster down; fi
	rm -rf $(BUILD) $(CACHE) tests/monitoring/viewer/node_modules /var/lib/bertfinetune-cluster

# What a fresh machine lacks. Each step says what it does, and takes no time when there is nothing to do.
.PHONY: setup-dev setup-trainer setup-go setup-chart setup-cluster setup-release setup-monitoring $(DEV)
$(DEV) setup-dev:
	@tests/setup/apt-packages.sh $(PACKAGES)
	@tests/setup/venv.sh $(DEV) "$$(tests/setup/python.sh 3.11 $(CACHE))" operator/requirements.txt tests/requirements.txt -- operator/src operator/dashboards tests/ascend_sim/device_plugin

setup-trainer: setup-dev
	@tests/setup/venv.sh $(TRAINER) "$$(tests/setup/python.sh 3.7 $(CACHE))" trainer_image/requirements.txt trainer_image/requirements-tensorflow.txt tests/trainer/requirements.txt -- trainer_image/src
	@tests/setup/apt-packages.sh g++
	@trainer_image/kernels/build.sh $(TRAINER_PYTHON)

setup-go: setup-dev
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin etcd pause coredns helm kubernetes

setup-chart: setup-go
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin helm4 helm-unittest kube-score

setup-cluster: setup-dev setup-go
	@tests/setup/apt-packages.sh $(CLUSTER_PACKAGES)

setup-release: setup-dev
	@if command -v buildah >/dev/null || ! docker info >/dev/null 2>&1; then tests/setup/apt-packages.sh buildah debootstrap; fi # else Docker builds
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/bin helm4 syft

setup-monitoring: setup-cluster setup-trainer
	@$(PROMETHEUS)
	@tests/setup/go-tools.sh $(CACHE) $(BUILD)/crds prometheus-operator

# Real weights; a folder is complete when it is there.
$(WEIGHTS)/minilm: | setup-trainer
	@$(TRAINER_PYTHON) -m bert_weights minilm --output=$@

$(WEIGHTS)/bert-base-uncased: | setup-trainer
	@tests/setup/apt-packages.sh maven
	@$(TRAINER_PYTHON) -m bert_weights bert-base-uncased --output=$@
