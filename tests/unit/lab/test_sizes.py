"""A file that has grown long holds more than one thing."""

from lab.cluster.layout import PROJECT

LONGEST = 400


def test_no_python_file_is_long() -> None:
    files = [file for folder in ("operator", "tests", "trainer_image") for file in (PROJECT / folder).rglob("*.py")]
    assert files
    lines = {str(file.relative_to(PROJECT)): len(file.read_text().splitlines()) for file in files}
    assert {file: number for file, number in lines.items() if number > LONGEST} == {}
