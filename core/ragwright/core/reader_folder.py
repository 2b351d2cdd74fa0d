"""The folder of a reader: what training writes and serving opens.

config.json, model.safetensors, tokenizer.json   the transformer, as any encoder's
heads.safetensors                                see `reader_heads.py`
reader.json                                      what `ReaderRules` says
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import read_json

RULES: Final = "reader.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class EvidenceWeights:
    """What each sign of a sentence adds to its log-odds of being evidence.

    Attributes:
        bias: Added to every sentence.
        sentence: Of the reader's log-odds for the sentence.
        passage: Of its log-odds for the chunk.
        meaning: Of the sentence's cosine, as a share of the best sentence's.
        words: Of the question's words in it and around it, likewise.
        chunk_words: Of the question's words in its chunk, likewise.
    """

    bias: float
    sentence: float
    passage: float
    meaning: float = 0.0
    words: float = 0.0
    chunk_words: float = 0.0


@dataclass(frozen=True, slots=True)
class AnswerWeights:
    """What makes the log-odds that anything found answers the question.

    Attributes:
        bias: Added always.
        passage: Of the reader's highest log-odds for a chunk.
        support: Of what meaning and words say of the best sentence, 0..1.
    """

    bias: float
    passage: float
    support: float = 0.0


@dataclass(frozen=True, slots=True)
class ReaderRules:
    """How a reader is used.

    Attributes:
        max_tokens: Longest pair of question and chunk in tokens, special tokens included.
        evidence: From its log-odds to the probability that a sentence is evidence.
        answer: From them to the probability that there is an answer.
    """

    max_tokens: int
    evidence: EvidenceWeights
    answer: AnswerWeights


def write_rules(folder: Path, rules: ReaderRules) -> None:
    """Write the rules into a folder that is being made."""
    text = json.dumps({"format": _FORMAT, **asdict(rules)}, indent=2)
    (folder / RULES).write_text(text + "\n", encoding="utf-8")


def read_rules(folder: Path) -> ReaderRules:
    """The rules of a reader's folder.

    Raises:
        ModelError: It is no reader's folder, or one of another format.
    """
    path = folder / RULES
    if not path.is_file():
        raise ModelError(f"{folder} has no {RULES}; wanted a reader's folder: run ragwright tune reader")
    found = read_json(path)
    if found.get("format") != _FORMAT:
        raise ModelError(
            f"{path} is of format {found.get('format')!r}, wanted {_FORMAT}; train the reader again"
        )
    try:
        return ReaderRules(
            max_tokens=int(found["max_tokens"]),
            evidence=EvidenceWeights(**_numbers(found["evidence"], EvidenceWeights)),
            answer=AnswerWeights(**_numbers(found["answer"], AnswerWeights)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error!r}); train the reader again") from None


def _numbers(found: Mapping[str, Any], kind: type[EvidenceWeights | AnswerWeights]) -> dict[str, float]:
    """The fields of a kind of weights; what is absent keeps its default."""
    return {each.name: float(found[each.name]) for each in fields(kind) if each.name in found}
