import pytest

from lab.cluster.errors import ClusterError, exit_code


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ClusterError("port 6443 is taken"), 1, "error: port 6443 is taken"),
        (KeyboardInterrupt(), 130, "interrupted; run it again"),
    ],
)
def test_a_person_gets_a_sentence_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: fail(error), interrupted="run it again") == code
    assert capsys.readouterr().err.strip() == said


def test_success_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: None, interrupted="") == 0
    assert capsys.readouterr().err == ""
