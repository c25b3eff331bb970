"""BERT's WordPiece (Devlin et al. 2018) through the Rust `tokenizers` library, and the layout of a pair."""

import re
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from bert_trainer.data.glue import Pair, read_bytes
from bert_trainer.errors import BadModelError

UNKNOWN = "[UNK]"
SPECIAL_TOKENS = (UNKNOWN, "[CLS]", "[SEP]")
CASED_SHARE = (
    0.01  # of tokens with capital letters: none in a vocabulary of lower-cased text, a third in one of English
)


class EncodedPair(NamedTuple):
    """[CLS] first [SEP] second [SEP], or [CLS] first [SEP].

    ids: [length] int32. first_segment: how many of them are of the first. label: its index, or the score.
    """

    ids: np.ndarray
    first_segment: int
    label: float


def read_vocabulary(path: Path) -> Dict[str, int]:
    """Returns token -> id, the id being the line's index; raises BadModelError when the file is no BERT vocabulary."""
    try:
        lines = read_bytes(path, BadModelError).decode("utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError as reason:
        raise BadModelError(
            "{}: not UTF-8 at byte {}; use the vocabulary of the weights".format(path, reason.start)
        ) from reason
    vocabulary = {line.strip(): index for index, line in enumerate(lines)}
    if len(vocabulary) != len(lines):
        raise BadModelError(
            "{}: {} of its {} tokens are repeated".format(path, len(lines) - len(vocabulary), len(lines))
        )
    for token in SPECIAL_TOKENS:
        if token not in vocabulary:
            raise BadModelError("{}: token {} is missing; use the vocabulary of the weights".format(path, token))
    return vocabulary


def capitals(vocabulary: Iterable[str]) -> List[str]:
    """Returns the tokens with capital letters, those in square brackets aside, which stand for no text."""
    return [token for token in vocabulary if token != token.lower() and not re.match(r"\[.+\]$", token)]


def is_cased(vocabulary: Dict[str, int]) -> bool:
    """Tells whether a vocabulary was made of text with capital letters; a few stray tokens do not count."""
    return len(capitals(vocabulary)) > CASED_SHARE * len(vocabulary)


def encode_pairs(
    pairs: Sequence[Pair], vocabulary: Dict[str, int], max_seq_length: int, lower_case: bool = True
) -> List[EncodedPair]:
    """Tokenizes every pair and truncates it to max_seq_length ids, always shortening the longer sentence.

    As in the reference, lower_case also takes the accents from letters.
    """
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=200))
    tokenizer.normalizer = BertNormalizer(lowercase=lower_case)  # ty: ignore[invalid-assignment] - its stub is wrong
    tokenizer.pre_tokenizer = BertPreTokenizer()  # ty: ignore[invalid-assignment]
    firsts = tokenizer.encode_batch([pair.first for pair in pairs])
    seconds = tokenizer.encode_batch([pair.second or "" for pair in pairs])
    cls, sep = vocabulary["[CLS]"], vocabulary["[SEP]"]
    encoded = []
    for pair, first, second in zip(pairs, firsts, seconds):
        # As in the reference, a second sentence without a token is no second sentence.
        specials = 3 if second.ids else 2
        kept_first, kept_second = truncated_lengths(len(first.ids), len(second.ids), max_seq_length - specials)
        ids = [cls, *first.ids[:kept_first], sep]
        if second.ids:
            ids += [*second.ids[:kept_second], sep]
        encoded.append(EncodedPair(np.array(ids, np.int32), kept_first + 2, pair.label))
    return encoded


def truncated_lengths(first: int, second: int, limit: int) -> Tuple[int, int]:
    """Returns two lengths of which the longer (the second on a tie) was shortened until their sum is within limit."""
    while first + second > limit:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second
