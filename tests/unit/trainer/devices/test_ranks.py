"""What a run on several cards makes of its processes: their environment, their flags, and the ends of them."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Iterator
from unittest import mock

import pytest

from bert_trainer import contract
from bert_trainer.config import Config, parse
from bert_trainer.devices import ranks
from bert_trainer.devices.cards import Cards
from bert_trainer.devices.rank_table import rank_table
from bert_trainer.errors import BadConfigError
from bert_trainer.processes import child
from bert_trainer.processes.child import ChildError
from support.trainer import small_task


def test_a_process_whose_training_waits_for_ever_leaves_without_its_last_rites() -> None:
    """What runs at the end of a process may wait for the card, which waits for the rank that is gone."""
    code = (
        "import atexit, threading, time; from bert_trainer.devices import ranks; atexit.register(time.sleep, 600);"
        "threading.Thread(target=time.sleep, args=[600], name=ranks.TRAINING, daemon=True).start();"
        "print('last words'); ranks.leave(69)"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.PIPE, timeout=60)
    assert (ended.returncode, ended.stdout) == (69, b"last words\n")


def test_the_rank_table_has_the_cards_and_their_addresses_and_is_nobody_else_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    conf = tmp_path / "hccn.conf"  # a simulation of /etc/hccn.conf, which an Ascend host has
    conf.write_text("address_4=192.168.100.104\nnetmask_4=255.255.255.0\naddress_5=192.168.101.105\n")
    monkeypatch.setattr(ranks, "HCCN_CONF", conf)
    monkeypatch.setattr(ranks, "own_address", lambda: "10.0.0.1")
    monkeypatch.setenv("RANK_TABLE_FILE", "")  # none is given
    with ranks.ranks_on(Cards([5, 4], [3, 4, 5])) as both:
        environment = both._environment(1)
        table = Path(environment.pop("RANK_TABLE_FILE"))
        ips = {4: "192.168.100.104", 5: "192.168.101.105"}
        assert json.loads(table.read_text()) == rank_table([5, 4], ips, "10.0.0.1")
        assert table.parent.stat().st_mode & 0o077 == 0
    assert not table.parent.exists()
    assert environment == {
        "RANK_SIZE": "2",
        "DEVICE_NUM": "2",
        "RANK_ID": "1",
        "DEVICE_ID": "4",  # on the server; the others are its place among the cards that the process sees
        "ASCEND_DEVICE_ID": "1",
        "DEVICE_INDEX": "1",
    }


def test_the_server_is_called_by_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    ipaddress.ip_address(ranks.own_address())
    monkeypatch.setattr(socket, "gethostbyname", mock.Mock(side_effect=socket.gaierror))
    assert ranks.own_address() == "127.0.0.1"


@pytest.mark.parametrize(("given", "seconds"), [({}, "1800"), ({"HCCL_EXEC_TIMEOUT": "60"}, "60")])
def test_hccl_waits_as_long_as_an_evaluation_may_take_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], seconds: str
) -> None:
    config = Config(**small_task.flags(tmp_path / "model", tmp_path / "data", tmp_path / "output", device="npu"))
    environment = dict(given)
    monkeypatch.setattr(ranks.os, "environ", environment)
    with ranks.ranks_on(Cards([4], [4])) as alone:
        alone.start(config)
    assert environment.pop("RANK_TABLE_FILE")
    assert {name: value for name, value in environment.items() if name.startswith("HCCL")} == {
        "HCCL_CONNECT_TIMEOUT": "1800",
        "HCCL_EXEC_TIMEOUT": seconds,
        "HCCL_WHITELIST_DISABLE": "1",
    }


class TestWatch:
    """What ranks.watch makes of the ends of ranks, in the order in which it hears of them."""

    @pytest.fixture
    def both(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[ranks.Ranks]:
        monkeypatch.setattr(ranks, "SECONDS_FOR_A_CAUSE", 0.2)
        with ranks.ranks_on(Cards([4, 5], [4, 5])) as both:
            both._children.append(mock.Mock(death=lambda code: (128 - code, "ended")))
            yield both

    def test_a_rank_that_has_taken_its_last_step_is_no_news(self, both: ranks.Ranks) -> None:
        both._ends.put(ranks.End(1, 0))
        both.watch(lambda: None)

    def test_rank_0_s_own_failure(self, both: ranks.Ranks) -> None:
        with pytest.raises(ZeroDivisionError):
            both.watch(lambda: print(1 / 0))
        both._ends.put(ranks.End(1, 0))
        with pytest.raises(ZeroDivisionError):
            both.watch(lambda: print(1 / 0))

    def test_the_failure_that_another_rank_s_end_has_caused(self, both: ranks.Ranks) -> None:
        def train() -> None:
            threading.Timer(0.1, both._ends.put, [ranks.End(1, 69)]).start()
            raise RuntimeError("a rank did not answer")

        with pytest.raises(ChildError, match="rank 1 on card 5: exit code 69 without a word") as failure:
            both.watch(train)
        assert failure.value.exit_code == contract.EXIT_DEVICE_FAULT

    def test_what_rank_0_understands_needs_no_other_cause(self, both: ranks.Ranks) -> None:
        def train() -> None:
            raise BadConfigError("--learning_rate")

        before = time.monotonic()
        with pytest.raises(BadConfigError):
            both.watch(train)
        assert time.monotonic() - before < 0.2

    def test_a_rank_that_ends_while_rank_0_waits(self, both: ranks.Ranks) -> None:
        waiting = threading.Event()
        both._ends.put(ranks.End(1, -signal.SIGKILL))
        with pytest.raises(ChildError, match=r"rank 1 on card 5: ended$") as failure:
            both.watch(waiting.wait)
        assert failure.value.exit_code == 128 + signal.SIGKILL
        waiting.set()


def test_the_others_get_the_flags_of_rank_0_but_for_what_only_rank_0_does(tmp_path: Path) -> None:
    one_process = {"termination_log": "x", "metrics_port": 8080, "export_saved_model": True}
    flags = small_task.flags(tmp_path / "model", tmp_path / "data", tmp_path / "output", device="npu", devices=2)
    config = Config(**flags, **one_process)
    theirs = parse(child.flags(ranks._share(config, tmp_path / "rank-1")))
    own = {"output_dir", "termination_log", "metrics_port", "export_saved_model"}
    assert {name for name, value in dataclasses.asdict(theirs).items() if value != getattr(config, name)} == own
