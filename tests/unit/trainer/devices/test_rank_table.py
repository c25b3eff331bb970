"""The rank table: what the environment says of the cards, and what HCCL reads."""

from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bert_trainer.devices.rank_table import cards_of, device_ips, rank_table, visible_cards


@pytest.mark.parametrize(
    ("text", "cards"),
    [
        ("", []),
        ("4", [4]),
        ("4,5", [4, 5]),
        ("5, 4", [5, 4]),
        ("Ascend910-4,Ascend910-5", [4, 5]),
        ("0-3", [0, 1, 2, 3]),
        ("0-1,6-7", [0, 1, 6, 7]),
        ("14,15", [14, 15]),
    ],
)
def test_visible_cards(text: str, cards: List[int]) -> None:
    assert visible_cards(text) == cards


@pytest.mark.parametrize("text", ["all", "4,", ",4", "4;5", "4,4", "0-2,2", "-1", "Ascend310-4", "4.0", "void"])
def test_what_is_no_list_of_cards(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a card's number|a card is named twice"):
        visible_cards(text)


def test_device_ips() -> None:
    lines = (
        "address_0=192.168.100.100",
        "netmask_0=255.255.255.0",
        " address_11 = fd00::b ",
        "#address_2=x",
        "send_arp",
    )
    conf = "\n".join(lines)
    assert device_ips(conf) == {0: "192.168.100.100", 11: "fd00::b"}
    assert device_ips("") == {}


def test_the_table_of_two_cards_of_which_one_has_an_address() -> None:
    assert rank_table([5, 4], {4: "192.168.101.104", 6: "192.168.101.106"}, "10.0.0.1") == {
        "status": "completed",
        "version": "1.0",
        "server_count": "1",
        "server_list": [
            {
                "server_id": "10.0.0.1",
                "device": [
                    {"device_id": "5", "rank_id": "0"},
                    {"device_id": "4", "rank_id": "1", "device_ip": "192.168.101.104"},
                ],
            }
        ],
    }


@given(some.lists(some.integers(0, 15), unique=True))
def test_a_table_gives_its_cards_back_whatever_the_order_of_its_lines(cards: List[int]) -> None:
    table = rank_table(cards, {}, "10.0.0.1")
    assert cards_of(table) == cards
    table["server_list"][0]["device"].reverse()
    assert cards_of(table) == cards


BROKEN: Dict[str, Dict[str, Any]] = {
    "two servers": {"server_list": rank_table([0], {}, "10.0.0.1")["server_list"] * 2},
    "no server": {"server_list": []},
    "not ready": {"status": "initializing"},
    "a rank twice": {
        "server_list": [{"device": [{"device_id": "0", "rank_id": "0"}, {"device_id": "1", "rank_id": "0"}]}]
    },
    "no rank 0": {"server_list": [{"device": [{"device_id": "0", "rank_id": "1"}]}]},
    "words": {"server_list": [{"device": [{"device_id": "first", "rank_id": "0"}]}]},
    "another format": {"server_list": None},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_what_is_no_table_of_one_server(change: Dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a completed rank table"):
        cards_of({**rank_table([0, 1], {}, "10.0.0.1"), **change})
