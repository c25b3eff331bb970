"""A model folder is taken only when vocabulary, configuration and weights fit each other."""

import json
import shutil
from pathlib import Path
from typing import Any, Callable, List

import pytest
import tensorflow.compat.v1 as tf

from bert_trainer.errors import BadConfigError, BadModelError, TrainerError
from bert_trainer.model import pretrained
from bert_trainer.model.bert import variable_shapes
from support.trainer import small_bert, small_task


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(str(model_folder), str(tmp_path / "model")))


def test_a_sound_model(folder: Path) -> None:
    model = pretrained.load(folder, "custom", 32)
    assert model.config == small_bert.CONFIG
    assert list(model.vocabulary) == small_task.VOCABULARY
    assert set(model.variables) == set(variable_shapes(small_bert.CONFIG))


def with_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "bert_config.json").write_text(json.dumps(dict(small_bert.CONFIG.__dict__, **changes)))

    return change


def with_vocabulary(*tokens: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "vocab.txt").write_text("".join(token + "\n" for token in tokens))


def flip_a_byte(folder: Path) -> None:
    path = folder / "bert_model.ckpt.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def truncate(folder: Path) -> None:
    path = folder / "bert_model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("break_it", "model_name", "message"),
    [
        (lambda folder: (folder / "vocab.txt").unlink(), "custom", "vocab.txt: No such file"),
        (lambda folder: (folder / "bert_config.json").unlink(), "custom", "bert_config.json: No such file"),
        (lambda folder: (folder / "bert_model.ckpt.index").unlink(), "custom", "bert_model.ckpt: unreadable"),
        (
            lambda folder: (folder / "bert_model.ckpt.index").write_bytes(b"x" * 300),
            "custom",
            "bert_model.ckpt: unreadable",
        ),
        (flip_a_byte, "custom", "bert_model.ckpt: unreadable .*; copy the weights again"),
        (truncate, "custom", "bert_model.ckpt: unreadable"),
        (with_vocabulary(*small_task.VOCABULARY, "more"), "custom", "32 tokens, but .* vocab_size 31; use the vocab"),
        (
            with_config(hidden_size=32),
            "custom",
            r"bert/embeddings/.* has shape \[\d+, 64\], bert_config.json wants \[\d+, 32\]",
        ),
        (with_config(num_hidden_layers=3), "custom", "layer_2/.* has shape none"),
        (
            lambda _folder: None,
            "bert-base-uncased",
            r"are \(2, 64, 4\), those of bert-base-uncased are \(12, 768, 12\)",
        ),
    ],
)
def test_broken_models(folder: Path, break_it: Callable[[Path], None], model_name: str, message: str) -> None:
    break_it(folder)
    with pytest.raises(BadModelError, match=message):
        pretrained.load(folder, model_name, 32)


def test_a_table_with_more_rows_than_tokens_is_usable(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As of weights whose table was padded to a multiple of 8."""
    with_vocabulary(*small_task.VOCABULARY[:-1])(folder)
    caplog.set_level("INFO")
    model = pretrained.load(folder, "custom", 32)
    assert (len(model.vocabulary), model.config.vocab_size) == (30, 31)
    assert "vocab.txt: 30 tokens for the 31 rows of the model" in caplog.text


CASED = [*small_task.VOCABULARY[:-3], "The", "##A", "x"]
STRAY = [*small_task.SPECIAL, *map(str, range(300)), "A"]


@pytest.mark.parametrize(
    ("tokens", "do_lower_case", "lower_case"),
    [
        (small_task.VOCABULARY, "", True),
        (small_task.VOCABULARY, "true", True),
        (CASED, "", False),
        (CASED, "false", False),
        (STRAY, "", True),
        (STRAY, "true", True),
        (STRAY, "false", False),
    ],
)
def test_the_vocabulary_or_the_flag_tells_the_case(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tokens: List[str], do_lower_case: str, lower_case: bool
) -> None:
    monkeypatch.setattr(pretrained, "_verified_variables", lambda *_: [])
    with_config(vocab_size=len(tokens))(folder)
    with_vocabulary(*tokens)(folder)
    assert pretrained.load(folder, "custom", 32, do_lower_case).lower_case == lower_case


def test_a_contradicted_case_is_refused(folder: Path) -> None:
    message = r"--do_lower_case=false: .*vocab.txt is uncased \(no token has a capital letter\); pass true, or leave"
    with pytest.raises(BadConfigError, match=message):
        pretrained.load(folder, "custom", 32, "false")
    with_vocabulary(*CASED)(folder)
    with pytest.raises(
        BadConfigError, match=r"--do_lower_case=true: .*vocab.txt is cased \(it holds 'The'\); pass false, or leave"
    ):
        pretrained.load(folder, "custom", 32, "true")


def test_a_cased_vocabulary_is_none_of_an_uncased_model_s(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_vocabulary(*CASED)(folder)
    monkeypatch.setitem(pretrained.PUBLISHED_SIZES, "bert-base-uncased", (2, 64, 4))
    with pytest.raises(
        BadModelError, match=r"vocab.txt: it is cased \(it holds 'The'\), bert-base-uncased is not; use its"
    ):
        pretrained.load(folder, "bert-base-uncased", 32)


def test_too_few_positions(folder: Path) -> None:
    with pytest.raises(BadConfigError, match=r"--max_seq_length=41: .* has 40 positions"):
        pretrained.load(folder, "custom", 41)


@pytest.mark.parametrize("name", ["vocab.txt", "bert_config.json", "bert_model.ckpt.index"])
def test_fingerprint_sees_every_file(folder: Path, name: str) -> None:
    before = pretrained.fingerprint(folder)
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    after = pretrained.fingerprint(folder)
    assert [key for key in before if before[key] != after[key]] == [name]
    (folder / name).unlink()
    with pytest.raises(TrainerError, match=name):
        pretrained.fingerprint(folder)


def test_fingerprint_of_other_weights_differs(model_folder: Path, tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        for name, weights in small_bert.random_weights(seed=1).items():
            tf.get_variable(name, initializer=weights)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(tmp_path / "bert_model.ckpt"), write_meta_graph=False)
    for name in ("vocab.txt", "bert_config.json"):
        shutil.copy(str(model_folder / name), str(tmp_path))
    assert (
        pretrained.fingerprint(tmp_path)["bert_model.ckpt.index"]
        != pretrained.fingerprint(model_folder)["bert_model.ckpt.index"]
    )


def test_the_top_layers_and_the_pooler_are_left_to_the_initializer(folder: Path) -> None:
    model = pretrained.load(folder, "custom", 32)
    kept = {count: set(pretrained.without_top_layers(model, count).variables) for count in (0, 1, 2)}
    assert kept[0] == set(model.variables)
    assert {name for name in kept[0] - kept[1] if "/layer_1/" not in name} == {
        "bert/pooler/dense/kernel",
        "bert/pooler/dense/bias",
    }
    assert {name.split("/")[1] for name in kept[1]} == {"embeddings", "encoder"}
    assert {name.split("/")[1] for name in kept[2]} == {"embeddings"}
    with pytest.raises(BadConfigError, match="--reinit_layers=3: the model has 2 layers"):
        pretrained.without_top_layers(model, 3)
