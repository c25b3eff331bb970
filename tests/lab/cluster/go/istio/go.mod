// Istio's CRDs, for the manifests on our pages: files of its module; nothing is built, and `go mod tidy` would drop the line.
module bertfinetune.dev/tests/cluster/istio

go 1.24.0

require istio.io/api v1.30.3 // indirect
