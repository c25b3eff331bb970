"""Which cards a container gets: the rules of an Atlas 800 (9000/9010) server, without input or output.

Eight cards lie in two HCCS rings of four. Cards of different rings cannot communicate: up to four must share a ring.
Source: MindCluster, "Affinity Based on Ascend AI Processors", Atlas training series products, single-node policy,
https://github.com/Ascend/mind-cluster, docs/en/scheduling/usage/basic_scheduling/01_affinity_scheduling
"""

from collections.abc import Iterable, Sequence

RESOURCE = "huawei.com/Ascend910"
RINGS = (
    ("Ascend910-0", "Ascend910-1", "Ascend910-2", "Ascend910-3"),
    ("Ascend910-4", "Ascend910-5", "Ascend910-6", "Ascend910-7"),
)
CARDS = (*RINGS[0], *RINGS[1])

_SHUFFLED = (5, 1, 7, 4, 3, 0, 6, 2)  # the order in which the kubelet names cards: any, but the same in each test

CONTROL_FILES = ("davinci_manager", "devmm_svm", "hisi_hdc")
"""Device files of the driver, beside one for each card."""

# For each legal number of cards: the free cards a ring should have, best first; it spares whole rings and even rests.
_FREE_PREFERRED = {1: (1, 3, 2, 4), 2: (2, 4, 3), 4: (4,)}


# How many vNPUs of a template a card of 32 AI cores is split into (`npu-smi set -t create-vnpu -f vir02` makes a 2c).
SHARES = {"2c": 16, "4c": 8, "8c": 4, "16c": 2}
FIRST_SHARE = 100  # the virtual id of card 0's first vNPU; each card has the ids of as many as it can be split into


class AllocationError(ValueError):
    """A request that no Ascend 910 server can serve, or not now."""


def shares(card: str, template: str) -> list[str]:
    """Return the names of the vNPUs of a card that is split: template, virtual id and card, as `Ascend910-2c-100-0`."""
    number = CARDS.index(card)
    first = FIRST_SHARE + number * max(SHARES.values())
    return [f"Ascend910-{template}-{first + share}-{number}" for share in range(SHARES[template])]


def number_of_share(names: Sequence[str]) -> int:
    """Return the virtual id of a container's one vNPU.

    Raises:
        AllocationError: more than one, which no container may have.
    """
    if len(names) != 1:
        raise AllocationError(f"{', '.join(names)}: a container may have one vNPU")
    return int(names[0].split("-")[2])


def preferred(available: Iterable[str], required: Iterable[str], size: int) -> list[str]:
    """Return the `size` cards to give out of `available`, `required` among them, in the order of the server.

    Raises:
        AllocationError: the number is not 1, 2, 4 or 8, a name is unknown, or no ring has enough free cards.
    """
    free, kept = _known(available), _known(required)
    _check_count(size)
    if size == len(CARDS) == len(free):
        return list(CARDS)
    rings = [(count, ring) for count in _FREE_PREFERRED.get(size, ()) for ring in RINGS if len(free & {*ring}) == count]
    for _, ring in rings:
        if kept <= {*ring} and len(kept) <= size:
            chosen = [*_ordered(kept), *_ordered(free & {*ring} - kept)][:size]
            return _ordered(chosen)
    names = ", ".join(_ordered(free)) or "none"
    raise AllocationError(f"no HCCS ring can give {size} cards (free: {names}): wait until other pods end")


def numbers_of(cards: Sequence[str]) -> list[int]:
    """Return the numbers of a container's cards, neither rising nor falling: of kubelet's list nothing is promised.

    Raises:
        AllocationError: unknown or repeated names, an illegal number, or up to four cards out of two rings.
    """
    given = _known(cards)
    if len(given) != len(cards):
        raise AllocationError(f"{', '.join(cards)}: a card is named twice")
    _check_count(len(given))
    if len(given) < len(CARDS) and not any(given <= {*ring} for ring in RINGS):
        raise AllocationError(f"{', '.join(_ordered(given))}: cards of different HCCS rings cannot communicate")
    return sorted((CARDS.index(card) for card in given), key=_SHUFFLED.index)


def device_files(numbers: Sequence[int], card: str = "davinci") -> list[str]:
    """Return the names of the files in /dev for these cards; a vNPU's begins with `vdavinci` on the node."""
    return [*(f"{card}{number}" for number in numbers), *CONTROL_FILES]


def _known(cards: Iterable[str]) -> set[str]:
    names = {*cards}
    if unknown := names - {*CARDS}:
        raise AllocationError(f"{', '.join(sorted(unknown))}: this server has {CARDS[0]} to {CARDS[-1]}")
    return names


def _check_count(count: int) -> None:
    if count not in {*_FREE_PREFERRED, len(CARDS)}:
        raise AllocationError(
            f"{RESOURCE}: {count} requested: an Atlas 800 server gives a container 1, 2, 4 or 8 cards"
        )


def _ordered(cards: Iterable[str]) -> list[str]:
    return sorted(cards, key=CARDS.index)
