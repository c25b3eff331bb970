"""HCCL's rank table for the cards of one server, by which the processes on them find each other. Pure.

Format 1.0, its template for Atlas training servers, with every number a string
(https://www.hiascend.com/document/detail/zh/canncommercial/850/commlib/hcclug/hcclug_000068.html). There server_id is
any text; in the manuals of CANN 5.0.4 to 7.0 it is the server's address, which suits both.
"""

import re
from typing import Any, Dict, List

RankTable = Dict[str, Any]


def visible_cards(text: str) -> List[int]:
    """Returns the physical ids in ASCEND_VISIBLE_DEVICES; ValueError if it is not a list of distinct cards.

    The device plugin writes `4,5`, Volcano's plugin `Ascend910-4,Ascend910-5`, and a person perhaps `4-5`.
    """
    cards: List[int] = []
    for part in text.split(",") if text else ():
        match = re.match(r"(?:Ascend910-)?(\d+)$|(\d+)-(\d+)$", part.strip())
        if match is None:
            raise ValueError("{!r} is not a card's number".format(part))
        one, first, last = match.groups()
        cards += [int(one)] if one else range(int(first), int(last) + 1)
    if len(set(cards)) < len(cards):
        raise ValueError("a card is named twice")
    return cards


def device_ips(hccn_conf: str) -> Dict[int, str]:
    """Returns physical id -> address of the card's own network port, of the lines `address_4=192.168.100.104`."""
    return {
        int(card): address for card, address in re.findall(r"^\s*address_(\d+)\s*=\s*(\S+)", hccn_conf, re.MULTILINE)
    }


def rank_table(cards: List[int], ips: Dict[int, str], server_id: str) -> RankTable:
    """Returns the table in which cards[r] is that of rank r, on the server with this address.

    A card whose address is not known goes without. The manuals call it required; whether HCCL looks at it within one
    server, no public source says.
    """
    devices = [
        {"device_id": str(card), "rank_id": str(rank), **({"device_ip": ips[card]} if card in ips else {})}
        for rank, card in enumerate(cards)
    ]
    server = {"server_id": server_id, "device": devices}
    return {"status": "completed", "version": "1.0", "server_count": "1", "server_list": [server]}


def cards_of(table: RankTable) -> List[int]:
    """Returns the physical id of each rank's card; ValueError unless it is a whole table of one server."""
    try:
        (server,) = table["server_list"]
        cards = {int(device["rank_id"]): int(device["device_id"]) for device in server["device"]}
        if table["status"] != "completed" or sorted(cards) != list(range(len(server["device"]))):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise ValueError("not a completed rank table of format 1.0 with one server and ranks from 0") from None
    return [cards[rank] for rank in range(len(cards))]
