# shellcheck shell=bash
# Words for the commands in taken_away.yaml. MANIFESTS is this folder, CHART and CLAIMS are the project's own, CRDS are others'.
set -euo pipefail

operator() { # install it
  helm upgrade --install bertfinetune-operator "$CHART" --namespace=bertfinetune-system --create-namespace \
    --values="$MANIFESTS/values.yaml"
}

values() { # values HELM_ARGUMENT...: change some of the release's values, as the remedies say
  helm upgrade bertfinetune-operator "$CHART" --namespace=bertfinetune-system --reset-then-reuse-values "$@"
}

cards() { # cards NODE ALLOCATABLE CAPACITY: what a device plugin makes the kubelet tell of a node that is Ready
  kubectl patch node "$1" --subresource=status --type=merge --patch='{"status": {
    "allocatable": {"huawei.com/Ascend910": '"$2"'}, "capacity": {"huawei.com/Ascend910": '"$3"'},
    "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}'
}

second_node() { # second_node LABEL... : one more with eight cards
  kubectl create --filename=- <<<'{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "atlas-1"}}'
  kubectl label node atlas-1 "$@"
  cards atlas-1 '"8"' '"8"'
}

mindcluster() { # what is gone of it, once more
  kubectl apply --server-side --force-conflicts --filename="$MANIFESTS/mindcluster.yaml"
  cards atlas-0 '"8"' '"8"'
}

claims() { # as the page makes them; the pod that fills them is not wanted here
  kubectl --namespace=research apply --filename="$CLAIMS"
  kubectl --namespace=research delete pod loader
}

claims_again() { # a volume that was bound once is bound to no other claim
  kubectl --namespace=research delete persistentvolumeclaims --all
  kubectl delete persistentvolumes --all
  mindcluster
  claims
}

unready() { # unready --namespace=NAMESPACE SELECTOR: as the kubelet does with pods that fail their readiness probes
  kubectl get pods "$@" --output=name | xargs --no-run-if-empty --max-args=1 kubectl patch "$1" --subresource=status \
    --patch='{"status": {"conditions": [{"type": "Ready", "status": "False"}]}}'
}

prometheus() { # the CRDs of the Prometheus Operator
  local file
  for file in "$CRDS"/monitoring.coreos.com_*.yaml; do kubectl apply --server-side --filename="$file"; done
}
