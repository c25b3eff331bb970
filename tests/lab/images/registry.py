"""A real container registry on loopback, which containerd, buildah and Helm reach by plain HTTP."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN
from lab.cluster.processes import answers, wait_until

ADDRESS = "127.0.0.1:5055"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Its address while it runs; what is pushed lies in the folder. ClusterError where it does not start in 20 s."""
    config, log = folder / "registry.yml", folder / "registry.log"
    storage = f"storage: {{filesystem: {{rootdirectory: {folder}/images}}}}"
    config.write_text(f"version: 0.1\nlog: {{level: warn}}\n{storage}\nhttp: {{addr: '{ADDRESS}'}}\n")
    with log.open("w") as output:
        process = subprocess.Popen([BIN / "registry", "serve", config], stdout=output, stderr=output)
        try:
            if not wait_until(lambda: answers(f"http://{ADDRESS}/v2/"), 20):
                raise ClusterError(f"the registry does not answer on {ADDRESS}:\n{log.read_text()}")
            yield ADDRESS
        finally:
            process.terminate()
            process.wait(10)
