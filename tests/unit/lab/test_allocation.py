"""The allocation rules as tables and as properties of every request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascend_device_plugin.allocation import CARDS, RINGS, AllocationError, device_files, numbers_of, preferred


def cards(numbers: str) -> list[str]:
    return [f"Ascend910-{number}" for number in numbers]


def test_names_are_those_of_the_real_plugin() -> None:
    assert list(CARDS) == cards("01234567")


@pytest.mark.parametrize(
    ("free", "required", "size", "chosen"),
    [
        ("01234567", "", 1, "0"),
        ("01234567", "", 2, "01"),
        ("01234567", "", 4, "0123"),
        ("01234567", "", 8, "01234567"),
        ("1234567", "", 4, "4567"),  # the only whole ring
        ("0124567", "", 1, "0"),  # 3 free before 4
        ("0127", "", 1, "7"),  # 1 free before 3
        ("01567", "", 1, "5"),  # 3 free before 2: it leaves an even rest
        ("014567", "", 1, "0"),  # 2 free before 4: it spares a whole ring
        ("01234567", "5", 1, "5"),
        ("0145", "", 2, "01"),
        ("01267", "", 2, "67"),  # exactly 2 before 3
        ("0124567", "", 2, "45"),  # 4 free before 3
        ("01267", "2", 2, "02"),  # unless a card of the other ring must be kept
        ("73516420", "7", 8, "01234567"),
    ],
)
def test_preferred(free: str, required: str, size: int, chosen: str) -> None:
    assert preferred(cards(free), cards(required), size) == cards(chosen)


@pytest.mark.parametrize(
    ("free", "required", "size", "message"),
    [
        ("", "", 1, r"no HCCS ring can give 1 cards \(free: none\): wait"),
        ("04", "", 2, r"no HCCS ring can give 2 cards \(free: Ascend910-0, Ascend910-4\): wait"),
        ("012567", "", 4, "no HCCS ring can give 4 cards"),
        ("0123456", "", 8, "no HCCS ring can give 8 cards"),
        ("01234567", "04", 2, "no HCCS ring can give 2 cards"),
        ("01234567", "01", 1, "no HCCS ring can give 1 cards"),
        (
            "01234567",
            "",
            3,
            "huawei.com/Ascend910: 3 requested: an Atlas 800 server gives a container 1, 2, 4 or 8 cards",
        ),
        ("01234567", "", 0, "0 requested"),
        ("8", "", 1, "Ascend910-8: this server has Ascend910-0 to Ascend910-7"),
    ],
)
def test_preferred_refuses(free: str, required: str, size: int, message: str) -> None:
    with pytest.raises(AllocationError, match=message):
        preferred(cards(free), cards(required), size)


@pytest.mark.parametrize(
    ("given_cards", "numbers"),
    [("0", [0]), ("45", [5, 4]), ("0123", [1, 3, 0, 2]), ("76543210", [5, 1, 7, 4, 3, 0, 6, 2])],
)
def test_numbers_in_an_order_that_nobody_may_rely_on(given_cards: str, numbers: list[int]) -> None:
    assert numbers_of(cards(given_cards)) == numbers


def test_device_files() -> None:
    assert device_files([5, 4]) == ["davinci5", "davinci4", "davinci_manager", "devmm_svm", "hisi_hdc"]


@pytest.mark.parametrize(
    ("given_cards", "message"),
    [
        ("", "0 requested"),
        ("012", "3 requested"),
        ("34", "Ascend910-3, Ascend910-4: cards of different HCCS rings cannot communicate"),
        ("0145", "cards of different HCCS rings"),
        ("00", "a card is named twice"),
        ("9", "Ascend910-9: this server has"),
    ],
)
def test_cards_that_are_refused(given_cards: str, message: str) -> None:
    with pytest.raises(AllocationError, match=message):
        numbers_of(cards(given_cards))


@given(free=st.sets(st.sampled_from(CARDS)), size=st.sampled_from([1, 2, 4, 8]), data=st.data())
def test_a_preference_is_legal_and_refused_only_when_none_exists(
    free: set[str], size: int, data: st.DataObject
) -> None:
    required = data.draw(st.sets(st.sampled_from(sorted(free)), max_size=size) if free else st.just(set()))
    groups = RINGS if size < 8 else (CARDS,)
    possible = any(required <= {*group} and len(free & {*group}) >= size for group in groups)
    if not possible:
        with pytest.raises(AllocationError):
            preferred(free, required, size)
        return
    chosen = preferred(free, required, size)
    assert len(chosen) == len({*chosen}) == size
    assert required <= {*chosen} <= free
    assert chosen == preferred(sorted(free), sorted(required), size)
    assert sorted(numbers_of(chosen)) == [int(card[-1]) for card in chosen]


@given(st.lists(st.sampled_from([1, 2, 4]), min_size=1))
def test_even_requests_fill_the_server(sizes: list[int]) -> None:
    """Pods of 2 and 4 cards leave no hole that another pod of 2 could not use."""
    free = {*CARDS}
    for size in (size for size in sizes if size != 1):
        try:
            free -= {*preferred(free, (), size)}
        except AllocationError:
            assert all(len(free & {*ring}) < size for ring in RINGS)
    assert all(len(free & {*ring}) % 2 == 0 for ring in RINGS)
