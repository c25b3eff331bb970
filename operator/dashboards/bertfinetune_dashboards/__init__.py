"""The Grafana dashboards as code; no part of the operator. `python -m bertfinetune_dashboards FOLDER` writes them."""
