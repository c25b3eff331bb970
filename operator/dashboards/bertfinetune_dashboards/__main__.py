"""Write the dashboards' JSON files into a folder."""

import sys
from pathlib import Path

from bertfinetune_dashboards import controller, fleet, run, run_npu

DASHBOARDS = {"fleet": fleet, "run": run, "run-npu": run_npu, "operator": controller}


def main() -> None:
    folder = Path(sys.argv[1])
    for name, module in DASHBOARDS.items():
        (folder / f"{name}.json").write_text(module.DASHBOARD.render())


if __name__ == "__main__":
    main()
