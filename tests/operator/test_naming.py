import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from bertfinetune_operator import naming

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True).filter(lambda name: ".." not in name)
uids = st.uuids().map(str)


@given(names, uids)
def test_job_name_is_a_dns_label(name: str, uid: str) -> None:
    assert len(naming.job_name(name, uid)) <= 63
    assert DNS_LABEL.fullmatch(naming.job_name(name, uid))


@given(names, names, uids, uids)
def test_job_names_differ_with_the_uid(one: str, other: str, uid: str, other_uid: str) -> None:
    if uid[:8] != other_uid[:8]:
        assert naming.job_name(one, uid) != naming.job_name(other, other_uid)


def test_a_long_name_keeps_its_beginning_and_the_uid() -> None:
    uid = str(uuid.UUID(int=0xABCDEF12 << 96))
    assert naming.job_name("a" * 53 + "-b", uid) == "a" * 53 + "-abcdef12"
    assert naming.job_name("short.name", uid) == "short-name-abcdef12"


def test_output_folder_tells_recreated_objects_apart() -> None:
    assert naming.output_folder("ns", "run", "11111111-x") == "ns-run-11111111"
    assert naming.output_folder("ns", "run", "22222222-x") != naming.output_folder("ns", "run", "11111111-x")
