// The CRDs of the products on operator/docs/alternatives.md: files of their modules; nothing is built, and `go mod tidy` would drop the lines.
module bertfinetune.dev/tests/cluster/peers

go 1.26.0

require (
	github.com/kubeflow/trainer/v2 v2.3.0 // indirect
	github.com/ray-project/kuberay/ray-operator v1.6.2 // indirect
	sigs.k8s.io/jobset v0.12.0 // indirect
)
