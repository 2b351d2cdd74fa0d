"""Questions that are read together with like questions and what answered them: one file in a model's folder.

After Tejaswi et al. 2024, "RARe: Retrieval Augmented Retrieval with In-Context Examples" (arXiv:2410.20088):
the like questions are found by their words, and stand before the question itself. A model that was trained so
reads every question so, in training and when it serves; passages are read as they are.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import read_json

FILE = "in_context.json"
_WORD = re.compile(r"\w+")
_LONGEST = 240  # characters of an example's passage


@dataclass(frozen=True, slots=True)
class Shown:
    """An example: a question, and the beginning of a passage that answers it."""

    question: str
    passage: str


@dataclass(frozen=True, slots=True)
class InContext:
    """The examples of a model.

    Attributes:
        examples: In a fixed order.
        count: How many stand before a question, at most.
    """

    examples: tuple[Shown, ...]
    count: int
    _words: tuple[frozenset[str], ...] = field(init=False, repr=False, compare=False, default=())
    _rarity: dict[str, float] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Count the words of the questions once."""
        words = tuple(frozenset(_words(each.question)) for each in self.examples)
        counts = Counter(word for each in words for word in each)
        rarity = {word: math.log(1 + len(words) / count) for word, count in counts.items()}
        object.__setattr__(self, "_words", words)
        object.__setattr__(self, "_rarity", rarity)

    def read_with(self, question: str, *, fits: Callable[[str], bool]) -> str:
        """A question behind the like ones and their passages.

        Args:
            question: As it was asked. Examples that ask the very same are left out, or training would give
                its own answer away.
            fits: Whether the model can read so long a text; the least like examples are left out until it
                does.
        """
        chosen = self._nearest(question)
        while chosen:
            # the most like one stands last, next to the question
            before = [f"Query: {each.question}; Document: {each.passage}; " for each in reversed(chosen)]
            text = "".join(before) + f"Query: {question}"
            if fits(text):
                return text
            chosen = chosen[:-1]
        return f"Query: {question}"

    def write(self, folder: Path) -> None:
        """Put the examples into a model's folder."""
        rows = [[each.question, each.passage] for each in self.examples]
        text = json.dumps({"count": self.count, "examples": rows}, ensure_ascii=False)
        (folder / FILE).write_text(text, encoding="utf-8")

    def _nearest(self, question: str) -> list[Shown]:
        """The most like examples, best first: by the rarity of the words that both share; ties by order."""
        asked = frozenset(_words(question))
        weights = [sum(self._rarity[word] for word in own & asked) for own in self._words]
        order = sorted(range(len(weights)), key=lambda place: (-weights[place], place))
        found = (self.examples[place] for place in order if weights[place] > 0)
        different = (each for each in found if _plain(each.question) != _plain(question))
        return [each for each, _ in zip(different, range(self.count), strict=False)]


def in_context_of(pairs: Sequence[tuple[str, str]], *, count: int) -> InContext:
    """Examples of questions and passages, these shortened; a question that occurs again is left out."""
    kept = {_plain(question): Shown(question, passage) for question, passage in reversed(pairs)}
    shown = [Shown(each.question, _beginning(each.passage)) for each in reversed(kept.values())]
    return InContext(tuple(shown), count)


def read_in_context(folder: Path) -> InContext | None:
    """The examples in a model's folder; None where it has none.

    Raises:
        ModelError: The file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    found = read_json(folder / FILE)
    try:
        rows = [Shown(str(question), str(passage)) for question, passage in found["examples"]]
        return InContext(tuple(rows), int(found["count"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / FILE} holds no examples ({error!r}); train the model again") from None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _plain(text: str) -> str:
    return " ".join(_words(text))


def _beginning(passage: str) -> str:
    """The first words, on one line."""
    line = " ".join(passage.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST].rpartition(" ")[0]
