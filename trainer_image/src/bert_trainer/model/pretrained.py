"""The pre-trained model's folder: refuses vocabulary, configuration and weights that do not fit each other."""

import logging
from pathlib import Path
from typing import Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from bert_trainer import contract
from bert_trainer.data.glue import sha256
from bert_trainer.data.tokenization import capitals, is_cased, read_vocabulary
from bert_trainer.errors import BadConfigError, BadModelError
from bert_trainer.model.bert import BertConfig, read_bert_config, variable_shapes

log = logging.getLogger(__name__)
VOCAB_FILE = "vocab.txt"
CONFIG_FILE = "bert_config.json"
CHECKPOINT = "bert_model.ckpt"

# Devlin et al. 2018: layers, hidden size, attention heads.
PUBLISHED_SIZES = {"bert-base-uncased": (12, 768, 12), "bert-large-uncased": (24, 1024, 16)}


class PretrainedModel(NamedTuple):
    """A verified model folder."""

    config: BertConfig
    vocabulary: Dict[str, int]
    lower_case: bool  # whether the text is lower-cased before it is tokenized
    checkpoint: str
    variables: List[str]  # those that the checkpoint initializes


def fingerprint(folder: Path) -> Dict[str, str]:
    """Returns file name -> SHA-256; the checkpoint's index stands for the weights, of which it holds the checksums."""
    return {name: sha256(folder / name, BadModelError) for name in (VOCAB_FILE, CONFIG_FILE, CHECKPOINT + ".index")}


def load(
    folder: Path, model_name: str, max_seq_length: int, do_lower_case: str = "", weights: str = CHECKPOINT
) -> PretrainedModel:
    """Reads and verifies a model folder, or the folder of a run, whose weights have another name.

    Raises:
        BadModelError: naming the file and what does not fit.
        BadConfigError: when the model has fewer positions than max_seq_length, or do_lower_case contradicts it.
    """
    config = read_bert_config(folder / CONFIG_FILE)
    _check_size(config, model_name, folder)
    if max_seq_length > config.max_position_embeddings:
        message = "--max_seq_length={}: the model in {} has {} positions; pass at most that many"
        raise BadConfigError(message.format(max_seq_length, folder, config.max_position_embeddings))
    vocabulary = read_vocabulary(folder / VOCAB_FILE)
    if len(vocabulary) > config.vocab_size:
        message = "{}: {} tokens, but {} says vocab_size {}; use the vocabulary published with the weights"
        raise BadModelError(message.format(folder / VOCAB_FILE, len(vocabulary), CONFIG_FILE, config.vocab_size))
    if len(vocabulary) < config.vocab_size:
        log.info("%s: %d tokens for the %d rows of the model", folder / VOCAB_FILE, len(vocabulary), config.vocab_size)
    lower_case = _lower_case(vocabulary, model_name, do_lower_case, folder)
    checkpoint = str(folder / weights)
    return PretrainedModel(config, vocabulary, lower_case, checkpoint, _verified_variables(checkpoint, config))


def without_top_layers(model: PretrainedModel, count: int) -> PretrainedModel:
    """Returns the model whose checkpoint initializes neither the pooler nor the top `count` layers; all of it for 0.

    What pre-training left in the top layers suits its own objective and slows fine-tuning down or destabilizes it
    (Zhang et al. 2020, "Revisiting Few-sample BERT Fine-tuning", section 5: re-initializing 1 to 6 of 24 layers helps).

    Raises:
        BadConfigError: the model has fewer layers.
    """
    layers = model.config.num_hidden_layers
    if count > layers:
        raise BadConfigError(
            "--reinit_layers={}: the model has {} layers; pass at most that many".format(count, layers)
        )
    if not count:
        return model
    renewed = tuple("bert/encoder/layer_{}/".format(layer) for layer in range(layers - count, layers))
    kept = [name for name in model.variables if not name.startswith((*renewed, "bert/pooler/"))]
    return model._replace(variables=kept)


def _check_size(config: BertConfig, model_name: str, folder: Path) -> None:
    size = (config.num_hidden_layers, config.hidden_size, config.num_attention_heads)
    if model_name != contract.MODEL_NAMES[0] and size != PUBLISHED_SIZES[model_name]:
        message = "{}: layers, hidden size and heads are {}, those of {} are {}; use its weights or --model_name=custom"
        raise BadModelError(message.format(folder / CONFIG_FILE, size, model_name, PUBLISHED_SIZES[model_name]))


def _lower_case(vocabulary: Dict[str, int], model_name: str, do_lower_case: str, folder: Path) -> bool:
    """Returns what do_lower_case says, or what the vocabulary tells; the models that have a name are uncased."""
    path, tokens = folder / VOCAB_FILE, capitals(vocabulary)
    cased = is_cased(vocabulary)
    if cased and model_name != contract.MODEL_NAMES[0]:
        message = "{}: it is cased (it holds {!r}), {} is not; use its vocabulary or --model_name=custom"
        raise BadModelError(message.format(path, tokens[0], model_name))
    if cased and do_lower_case == "true":
        message = "--do_lower_case=true: {} is cased (it holds {!r}); pass false, or leave the flag out"
        raise BadConfigError(message.format(path, tokens[0]))
    if not tokens and do_lower_case == "false":
        message = (
            "--do_lower_case=false: {} is uncased (no token has a capital letter); pass true, or leave the flag out"
        )
        raise BadConfigError(message.format(path))
    lower_case = do_lower_case == "true" if do_lower_case else not cased
    log.info("%s: the text is %s", path, "lower-cased" if lower_case else "taken with its capital letters")
    return lower_case


def _verified_variables(checkpoint: str, config: BertConfig) -> List[str]:
    """Reads every tensor once, which verifies its checksum; returns the names in the checkpoint that the model has."""
    expected = variable_shapes(config)
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        shapes = reader.get_variable_to_shape_map()
        for name, shape in expected.items():
            if shapes.get(name) != shape:
                message = "{}: {} has shape {}, {} wants {}; use weights and configuration of the same model"
                raise BadModelError(message.format(checkpoint, name, shapes.get(name, "none"), CONFIG_FILE, shape))
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError) as reason:
        raise BadModelError("{}: unreadable ({}); copy the weights again".format(checkpoint, reason)) from reason
    return list(expected)
