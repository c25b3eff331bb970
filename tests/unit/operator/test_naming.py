import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from bertfinetune_operator import naming

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True).filter(lambda name: ".." not in name)
uids = st.uuids().map(str)


attempts = st.integers(0, 200)


@given(names, uids, attempts)
def test_job_name_is_a_dns_label(name: str, uid: str, attempt: int) -> None:
    job = naming.job_name(name, uid, attempt)
    assert len(job) <= 63
    assert DNS_LABEL.fullmatch(job)


@given(names, names, uids, uids, attempts)
def test_job_names_differ_with_the_uid(one: str, other: str, uid: str, other_uid: str, attempt: int) -> None:
    if uid[:8] != other_uid[:8]:
        assert naming.job_name(one, uid, attempt) != naming.job_name(other, other_uid, attempt)


@given(names, uids, attempts, attempts)
def test_job_names_differ_with_the_attempt(name: str, uid: str, attempt: int, other: int) -> None:
    assert (naming.job_name(name, uid, attempt) == naming.job_name(name, uid, other)) == (attempt == other)


def test_a_long_name_keeps_its_beginning_the_uid_and_the_attempt() -> None:
    uid = str(uuid.UUID(int=0xABCDEF12 << 96))
    assert naming.job_name("a" * 53 + "-b", uid, 0) == "a" * 53 + "-abcdef12"
    assert naming.job_name("a" * 60, uid, 12) == "a" * 51 + "-abcdef12-12"
    assert naming.job_name("short.name", uid, 0) == "short-name-abcdef12"


def test_output_folder_tells_recreated_objects_and_trials_apart() -> None:
    assert naming.output_folder("ns", "run", "11111111-x", 0) == "ns-run-11111111"
    assert naming.output_folder("ns", "run", "11111111-x", 2) == "ns-run-11111111-trial-2"
    assert naming.output_folder("ns", "run", "22222222-x", 0) != naming.output_folder("ns", "run", "11111111-x", 0)
