"""The Grafana dashboards as code. `python -m bertfinetune_dashboards FOLDER` writes their JSON; no part of the operator."""
