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

# For each legal number of cards: the free cards a ring should have, best first; it spares whole rings and even rests.
_FREE_PREFERRED = {1: (1, 3, 2, 4), 2: (2, 4, 3), 4: (4,)}


class AllocationError(ValueError):
    """A request that no Ascend 910 server can serve, or not now."""


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


def environment(cards: Sequence[str]) -> dict[str, str]:
    """Return what the container's environment gets for its cards, for ascend-docker-runtime to read.

    Raises:
        AllocationError: unknown or repeated names, an illegal number, or up to four cards out of two rings.
    """
    given = _known(cards)
    if len(given) != len(cards):
        raise AllocationError(f"{', '.join(cards)}: a card is named twice")
    _check_count(len(given))
    if len(given) < len(CARDS) and not any(given <= {*ring} for ring in RINGS):
        raise AllocationError(f"{', '.join(_ordered(given))}: cards of different HCCS rings cannot communicate")
    numbers = ",".join(card.rpartition("-")[2] for card in _ordered(given))
    return {"ASCEND_VISIBLE_DEVICES": numbers, "ASCEND_RUNTIME_OPTIONS": ""}


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
