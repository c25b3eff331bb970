// The CRDs of the Prometheus Operator, for the tests: files of its module; nothing is built, and `go mod tidy` would drop the line.
module bertfinetune.dev/tests/cluster/prometheus-operator

go 1.24.0

require github.com/prometheus-operator/prometheus-operator v0.85.0 // indirect
