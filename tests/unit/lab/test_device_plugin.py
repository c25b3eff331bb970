"""The plugin's process against a kubelet made of the same interface, over real sockets in a folder."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from queue import Queue

import grpc
import pytest
import yaml
from grpc_tools import protoc

import ascend_device_plugin
from ascend_device_plugin import deviceplugin_pb2 as api
from ascend_device_plugin.__main__ import arguments
from ascend_device_plugin.allocation import CARDS
from ascend_device_plugin.deviceplugin_pb2_grpc import (
    DevicePluginStub,
    RegistrationServicer,
    add_RegistrationServicer_to_server,
)
from ascend_device_plugin.plugin import OWNERS

PACKAGE = Path(ascend_device_plugin.__file__).parent
PATIENCE = 15  # seconds; a loaded machine starts Python slowly


class Kubelet(RegistrationServicer):
    """The registration side of a kubelet; what plugins send is in `registered`."""

    def __init__(self, folder: Path, refusal: str = "", stale: str = "*.sock") -> None:
        self.registered: Queue[api.RegisterRequest] = Queue()
        self._folder, self._refusal = folder, refusal
        for socket in folder.glob(stale):  # as a kubelet does at its start
            socket.unlink()
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        add_RegistrationServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{folder}/kubelet.sock")
        self._server.start()

    def Register(self, request: api.RegisterRequest, context: grpc.ServicerContext) -> api.Empty:  # noqa: N802
        self.registered.put(request)
        if self._refusal:
            context.abort(grpc.StatusCode.UNKNOWN, self._refusal)
        return api.Empty()

    def plugin(self) -> DevicePluginStub:
        """Dial the endpoint of the next registration."""
        request = self.registered.get(timeout=PATIENCE)
        return DevicePluginStub(grpc.insecure_channel(f"unix:{self._folder}/{request.endpoint}"))

    def stop(self) -> None:
        self._server.stop(grace=None).wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the plugin as a user does; it is ended after the test."""
    processes: list[subprocess.Popen[str]] = []

    def process(*options: str) -> subprocess.Popen[str]:
        places = [f"--folder={tmp_path}", f"--faults={tmp_path}/faults", f"--cards={tmp_path}/cards"]
        command = [sys.executable, "-m", "ascend_device_plugin", *places, *options]
        processes.append(subprocess.Popen(command, cwd=PACKAGE.parent, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield process
    for each in processes:
        each.kill()
        each.communicate()


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[Kubelet]:
    kubelet = Kubelet(tmp_path)
    yield kubelet
    kubelet.stop()


def health(message: api.ListAndWatchResponse) -> dict[str, str]:
    return {device.ID: device.health for device in message.devices}


HEALTHY = dict.fromkeys(CARDS, "Healthy")


def test_registration_and_health(tmp_path: Path, kubelet: Kubelet, start: Callable[[], object]) -> None:
    start()
    assert kubelet.registered.get(timeout=PATIENCE) == api.RegisterRequest(
        version="v1beta1",
        endpoint="Ascend910.sock",
        resource_name="huawei.com/Ascend910",
        options=api.DevicePluginOptions(get_preferred_allocation_available=True),
    )
    plugin = DevicePluginStub(grpc.insecure_channel(f"unix:{tmp_path}/Ascend910.sock"))
    assert plugin.GetDevicePluginOptions(api.Empty()).get_preferred_allocation_available
    stream = plugin.ListAndWatch(api.Empty(), timeout=PATIENCE)
    assert health(next(stream)) == HEALTHY
    (tmp_path / "faults").write_text("Ascend910-3\nAscend910-9\n")
    assert health(next(stream)) == HEALTHY | {"Ascend910-3": "Unhealthy"}
    (tmp_path / "faults").unlink()
    assert health(next(stream)) == HEALTHY


def test_split_cards_are_offered_as_shares_of_which_a_container_gets_one(
    tmp_path: Path, kubelet: Kubelet, start: Callable[..., object]
) -> None:
    """Also in Volcano mode: a vNPU needs no mark."""
    start("--volcano", *(f"--split={which}" for which in ("Ascend910-6=8c", "Ascend910-7=16c", "Ascend910-0=8c")))
    requests = {request.resource_name: request for request in (kubelet.registered.get(timeout=PATIENCE) for _ in "123")}
    assert requests.keys() == {f"huawei.com/Ascend910{kind}" for kind in ("", "-8c", "-16c")}
    plugins = {
        name.partition("910")[2]: DevicePluginStub(grpc.insecure_channel(f"unix:{tmp_path}/{request.endpoint}"))
        for name, request in requests.items()
    }
    streams = {kind: plugin.ListAndWatch(api.Empty(), timeout=PATIENCE) for kind, plugin in plugins.items()}
    quarters = [
        f"Ascend910-8c-{share}" for share in ("196-6", "197-6", "198-6", "199-6", *["100-0", "101-0", "102-0", "103-0"])
    ]
    assert list(health(next(streams[""]))) == list(CARDS[1:6])
    assert list(health(next(streams["-8c"]))) == quarters
    assert list(health(next(streams["-16c"]))) == ["Ascend910-16c-212-7", "Ascend910-16c-213-7"]
    (tmp_path / "faults").write_text("Ascend910-6\n")
    ill = {name: "Unhealthy" if name.endswith("-6") else "Healthy" for name in quarters}
    assert health(next(streams["-8c"])) == ill
    wanted = api.ContainerPreferredAllocationRequest(available_deviceIDs=quarters[1:3], allocation_size=1)
    preference = plugins["-8c"].GetPreferredAllocation(api.PreferredAllocationRequest(container_requests=[wanted]))
    assert [list(response.deviceIDs) for response in preference.container_responses] == [quarters[1:2]]
    container = api.ContainerAllocateRequest(devices_ids=quarters[1:2])
    (given,) = plugins["-8c"].Allocate(api.AllocateRequest(container_requests=[container])).container_responses
    assert dict(given.envs) == {"ASCEND_VISIBLE_DEVICES": "197", "ASCEND_RUNTIME_OPTIONS": "VIRTUAL"}
    card = given.mounts[0]
    assert (card.container_path, card.host_path) == ("/dev/davinci197", f"{tmp_path}/cards/vdavinci197")
    assert Path(card.host_path).stat().st_gid == OWNERS
    two = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=quarters[:2])])
    with pytest.raises(grpc.RpcError, match="a container may have one vNPU"):
        plugins["-8c"].Allocate(two)


@pytest.mark.parametrize("driver", ["runtime", "hostPath"])
def test_allocation(tmp_path: Path, kubelet: Kubelet, start: Callable[..., object], driver: str) -> None:
    """Without ascend-docker-runtime the real plugin gives device files and no variable."""
    start(f"--driver={driver}")
    plugin = kubelet.plugin()
    wanted = api.ContainerPreferredAllocationRequest(available_deviceIDs=CARDS[3:], allocation_size=2)
    preference = plugin.GetPreferredAllocation(api.PreferredAllocationRequest(container_requests=[wanted]))
    assert [list(response.deviceIDs) for response in preference.container_responses] == [["Ascend910-4", "Ascend910-5"]]
    containers = [api.ContainerAllocateRequest(devices_ids=ids) for ids in (("Ascend910-5", "Ascend910-4"), CARDS[:1])]
    responses = plugin.Allocate(api.AllocateRequest(container_requests=containers)).container_responses
    for response, visible in zip(responses, ("5,4", "0"), strict=True):
        runtime = {"ASCEND_VISIBLE_DEVICES": visible, "ASCEND_RUNTIME_OPTIONS": ""}
        assert dict(response.envs) == (runtime if driver == "runtime" else {})
        files = [f"davinci{number}" for number in visible.split(",")] + ["davinci_manager", "devmm_svm", "hisi_hdc"]
        assert [(mount.container_path, mount.host_path) for mount in response.mounts] == [
            (f"/dev/{name}", f"{tmp_path}/cards/{name}") for name in files
        ]


def test_only_the_driver_s_group_may_open_a_card(
    tmp_path: Path, kubelet: Kubelet, start: Callable[..., object]
) -> None:
    start()
    kubelet.plugin()
    modes = {(path.stat().st_mode & 0o777, path.stat().st_gid) for path in (tmp_path / "cards").iterdir()}
    assert modes == {(0o660, 1000)}
    assert len(list((tmp_path / "cards").iterdir())) == 11


def test_in_volcano_mode_it_takes_no_pod_of_ours_but_for_all_cards(
    kubelet: Kubelet, start: Callable[..., object]
) -> None:
    start("--volcano")
    plugin = kubelet.plugin()
    one, all_cards = (api.ContainerAllocateRequest(devices_ids=ids) for ids in (CARDS[:1], CARDS))
    with pytest.raises(grpc.RpcError, match="not get valid pod") as error:
        plugin.Allocate(api.AllocateRequest(container_requests=[one]))
    assert error.value.code() == grpc.StatusCode.UNKNOWN
    assert len(plugin.Allocate(api.AllocateRequest(container_requests=[all_cards])).container_responses) == 1


def test_refusals_carry_their_reason(kubelet: Kubelet, start: Callable[[], object]) -> None:
    start()
    plugin = kubelet.plugin()
    three = api.ContainerAllocateRequest(devices_ids=CARDS[:3])
    scattered = api.ContainerPreferredAllocationRequest(available_deviceIDs=CARDS[3:5], allocation_size=2)
    for call, request, reason in (
        (plugin.Allocate, api.AllocateRequest(container_requests=[three]), "3 requested"),
        (
            plugin.GetPreferredAllocation,
            api.PreferredAllocationRequest(container_requests=[scattered]),
            "no HCCS ring can give 2 cards",
        ),
    ):
        with pytest.raises(grpc.RpcError, match=reason) as error:
            call(request)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_kubelet_that_restarts_gets_the_cards_again(
    tmp_path: Path, start: Callable[[], subprocess.Popen[str]]
) -> None:
    process = start()
    assert process.stderr
    assert process.stderr.readline().endswith(f"no kubelet answers at {tmp_path}/kubelet.sock: waiting for it\n")
    for _ in range(3):
        kubelet = Kubelet(tmp_path)
        assert health(next(kubelet.plugin().ListAndWatch(api.Empty(), timeout=PATIENCE))) == HEALTHY
        kubelet.stop()


def test_a_kubelet_that_keeps_the_plugins_socket_gets_the_cards_again(
    tmp_path: Path, kubelet: Kubelet, start: Callable[[], object]
) -> None:
    start()
    kubelet.plugin()
    successor = Kubelet(tmp_path, stale="kubelet.sock")
    assert health(next(successor.plugin().ListAndWatch(api.Empty(), timeout=PATIENCE))) == HEALTHY
    successor.stop()


def test_a_killed_plugin_leaves_nothing_in_the_way(
    kubelet: Kubelet, start: Callable[[], subprocess.Popen[str]]
) -> None:
    for _ in range(2):
        process = start()
        assert health(next(kubelet.plugin().ListAndWatch(api.Empty(), timeout=PATIENCE))) == HEALTHY
        process.kill()
        process.wait()


def test_every_log_line_says_that_it_is_simulated(
    tmp_path: Path, kubelet: Kubelet, start: Callable[[], subprocess.Popen[str]]
) -> None:
    (tmp_path / "faults").write_text("Ascend910-9")
    process = start()
    assert process.stderr
    kubelet.plugin()
    log = [process.stderr.readline() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    log += process.communicate(timeout=PATIENCE)[1].splitlines(keepends=True)
    assert process.returncode == 0
    assert not (tmp_path / "Ascend910.sock").exists()
    lines = [re.fullmatch(r"\S+ \S+ (INFO|ERROR) simulated Ascend 910: (.+)\n", line) for line in log]
    assert [line and line.groups() for line in lines] == [
        ("INFO", "registered 8 devices as huawei.com/Ascend910"),
        ("INFO", "unhealthy cards: Ascend910-9"),
        ("ERROR", "no such card: Ascend910-9"),
    ]


def test_a_refused_registration_ends_the_plugin(tmp_path: Path, start: Callable[[], subprocess.Popen[str]]) -> None:
    kubelet = Kubelet(tmp_path, refusal="requested API version is not supported")
    process = start()
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "the kubelet refused the registration: requested API version is not supported" in log
    kubelet.stop()


def test_a_folder_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # nothing refuses root, who may run the tests
    for folder, reason in ((tmp_path / "absent", "no such folder"), (tmp_path, "not writable")):
        with pytest.raises(SystemExit, match="2"):
            arguments([f"--folder={folder}"])
        assert f"--folder={folder}: {reason}" in capsys.readouterr().err


def test_generated_code_is_current(tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    assert protoc.main(["", f"-I{PACKAGE.parent}", *outputs, "ascend_device_plugin/deviceplugin.proto"]) == 0
    generated = {file.name: file.read_text() for file in (tmp_path / PACKAGE.name).iterdir()}
    assert generated == {file.name: file.read_text() for file in PACKAGE.glob("*_pb2*.py*")}, "run make generate"


def test_the_daemon_set_mounts_what_the_plugin_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _: True)  # this machine needs no kubelet
    monkeypatch.setattr(os, "access", lambda _path, _mode: True)
    defaults = arguments([])
    spec = yaml.safe_load((PACKAGE.parent / "daemonset.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = {mount["name"]: Path(mount["mountPath"]) for mount in container["volumeMounts"]}
    assert defaults.folder == mounts["device-plugins"] == Path(spec["volumes"][0]["hostPath"]["path"])
    assert defaults.faults.parent == mounts["faults"]
    (cards,) = (volume["hostPath"]["path"] for volume in spec["volumes"] if volume["name"] == "cards")
    assert defaults.cards == mounts["cards"] == Path(cards)
    assert OWNERS in spec["securityContext"]["supplementalGroups"]
    assert spec["nodeSelector"] == {"accelerator": "huawei-Ascend910"}
