"""What the exporter of an Atlas 800 (9000) server publishes of its eight Ascend 910 cards: pure, the time is given.

Names, labels and explicit timestamps are those of npu-exporter; what it does not publish for this card is not here:
the overall, vector and cube utilisation. An error code has a series only while there is an error.
Source: https://github.com/Ascend/mind-cluster, component/npu-exporter/collector/metrics.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Set
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily

from lab.ascend.npu_exporter.codes import ISOLATED_HBM_ROWS, UNCORRECTABLE_HBM_ERROR

LABELS = ("id", "model_name", "vdie_id", "pcie_bus_info", "namespace", "pod_name", "container_name")
NAME_LABELS = ("id", "name", *LABELS[2:])
CARDS = tuple(f"Ascend910-{number}" for number in range(8))
MODEL = "910A-Ascend-V1"
PERIOD = 5  # seconds between two looks at the cards
HBM_MB, DDR_MB = 32768, 15665


class Holder(NamedTuple):
    """The container that a card is given to; empty names where nobody has it."""

    namespace: str = ""
    pod: str = ""
    container: str = ""


NOBODY = Holder()


class Card(NamedTuple):
    """A card at a moment."""

    number: int
    holder: Holder
    faulty: bool
    seconds: float
    """Unix time."""

    @property
    def load(self) -> float:
        """Share of the AI cores that work: high and moving, each card in its own rhythm, and 0 without a holder."""
        if self.holder == NOBODY:
            return 0.0
        return 0.82 + 0.1 * math.sin(self.seconds / 7 + self.number) + 0.06 * math.sin(self.seconds / 2.3)


def _used_hbm(card: Card) -> float:
    return round(14200 * card.load)


OF_CARD: dict[str, tuple[str, Callable[[Card], float]]] = {
    "npu_chip_info_utilization": ("the ai core utilization", lambda card: round(100 * card.load)),
    "npu_chip_info_hbm_used_memory": ("the npu hbm used memory", _used_hbm),
    "npu_chip_info_hbm_total_memory": ("the npu hbm total memory", lambda _: HBM_MB),
    "npu_chip_info_hbm_utilization": ("the npu hbm utilization", lambda card: round(100 * _used_hbm(card) / HBM_MB)),
    "npu_chip_info_hbm_bandwidth_utilization": ("the npu hbm bandwidth util rate", lambda card: round(55 * card.load)),
    "npu_chip_info_hbm_temperature": ("the npu hbm temperature", lambda card: round(38 + 24 * card.load)),
    "npu_chip_info_hbm_ecc_enable_flag": ("whether HBM ecc detection is enabled", lambda _: 1),
    "npu_chip_info_hbm_ecc_double_bit_error_cnt": ("HBM Double Bit Error Count", lambda card: 2 * card.faulty),
    "npu_chip_info_used_memory": ("the npu used memory", lambda card: round(620 + 900 * card.load)),
    "npu_chip_info_total_memory": ("the npu total memory", lambda _: DDR_MB),
    "npu_chip_info_temperature": ("the npu temperature", lambda card: round(41 + card.number % 4 + 26 * card.load)),
    "npu_chip_info_power": ("the npu power", lambda card: round(68 + 170 * card.load, 1)),
    "npu_chip_info_voltage": ("the npu voltage", lambda _: 0.83),
    "npu_chip_info_aicore_current_freq": (
        "the npu ai core current frequency, unit is 'MHz'",
        lambda card: 1000 if card.load else 800,
    ),
    "npu_chip_info_health_status": ("the npu health status", lambda card: not card.faulty),
    "npu_chip_info_network_status": ("the npu network health status", lambda _: 1),
    "npu_chip_info_link_status": ("the npu link status", lambda _: 1),
    "npu_chip_info_process_info_num": ("the npu process num", lambda card: card.holder != NOBODY),
}
"""For each card: help text and value, in %, MB, degrees Celsius, W, V."""
OF_HELD_CARD: dict[str, tuple[str, Callable[[Card], float]]] = {
    "container_npu_utilization": (
        "npu ai core utilization in container, unit is '%'",
        OF_CARD["npu_chip_info_utilization"][1],
    ),
    "container_npu_total_memory": ("npu total memory in container, unit is 'MB'", lambda _: HBM_MB),
    "container_npu_used_memory": ("the npu used memory in container, unit is 'MB'", _used_hbm),
}
"""The same for a card that a container has."""
OF_FAULTY_CARD: dict[str, tuple[str, Callable[[Card], float]]] = {
    "npu_chip_info_error_code": ("the npu error code", lambda _: UNCORRECTABLE_HBM_ERROR),
    "npu_chip_info_error_code_1": ("the npu error code", lambda _: ISOLATED_HBM_ROWS),
}
"""The same for a card that has errors, with a series for each of them."""


def families(holders: Mapping[str, Holder], faults: Set[str], seconds: float) -> Iterator[GaugeMetricFamily]:
    """All series at a Unix time; `holders` and `faults` name cards, and a card without a holder is idle.

    The real exporter looks at the cards now and then and stamps its samples with the time of the look.
    """
    seen = seconds // PERIOD * PERIOD
    cards = [Card(n, holders.get(name, NOBODY), name in faults, seen) for n, name in enumerate(CARDS)]
    held = [card for card in cards if card.holder != NOBODY]
    faulty = [card for card in cards if card.faulty]
    for metrics, shown in ((OF_CARD, cards), (OF_HELD_CARD, held), (OF_FAULTY_CARD, faulty)):
        for name, (text, value) in metrics.items():
            family = GaugeMetricFamily(name, text, labels=LABELS)
            for card in shown:
                family.add_metric(_labels(card), value(card), timestamp=seen)
            yield family
    names = GaugeMetricFamily("npu_chip_info_name", "the Ascend npu name with value '1'", labels=NAME_LABELS)
    for card in cards:
        names.add_metric(_labels(card), 1, timestamp=seen)
    yield names
    yield GaugeMetricFamily("machine_npu_nums", "Amount of npu installed on the machine.", len(cards))


def _labels(card: Card) -> list[str]:
    return [
        str(card.number),
        MODEL,
        f"SIMULATED-{card.number:04X}",
        f"0000:{0x61 + card.number:02X}:00.0",
        *card.holder,
    ]
