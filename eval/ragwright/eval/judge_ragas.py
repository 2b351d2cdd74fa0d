"""The judged measures as ragas defines them; the only importer of ragas.

Its current metrics take any object that turns a prompt and a pydantic model into a value of that model. Ours
asks the configured endpoint and is stricter than ragas: a list without entries, a verdict that is neither 0
nor 1, and fewer verdicts than statements are no verdict, where ragas would count them as one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pydantic

from ragwright.core.errors import MissingExtra, RagwrightError
from ragwright.core.types import Vectors
from ragwright.eval.judge_endpoint import Endpoint, NoVerdict, json_objects

READS: Mapping[str, tuple[str, ...]] = {
    "faithfulness": ("user_input", "response", "retrieved_contexts"),
    "answer_relevancy": ("user_input", "response"),
    "context_precision": ("user_input", "retrieved_contexts", "reference"),
    "context_recall": ("user_input", "retrieved_contexts", "reference"),
    "factual_correctness": ("response", "reference"),
}
"""What each measure reads, in ragas' names."""

_CLASSES = {
    "faithfulness": "Faithfulness",
    "answer_relevancy": "AnswerRelevancy",
    "context_precision": "ContextPrecisionWithReference",
    "context_recall": "ContextRecall",
    "factual_correctness": "FactualCorrectness",
}
_VERDICTS = ("verdict", "attributed", "noncommittal")


def ragas_version() -> str:
    """The installed version of ragas, without importing it.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        return version("ragas")
    except PackageNotFoundError as error:
        raise MissingExtra("ragas", "judge") from error


@dataclass(frozen=True, slots=True)
class Ragas:
    """ragas, imported and silent."""

    collections: Any

    @classmethod
    def load(cls) -> Ragas:
        """Import ragas, which takes seconds.

        Raises:
            MissingExtra: It, or a version of langchain-community that it can use, is not installed.
        """
        os.environ["RAGAS_DO_NOT_TRACK"] = "true"  # ragas reads it once, at its first call
        try:
            from ragas.embeddings.base import BaseRagasEmbedding
            from ragas.llms.base import InstructorBaseRagasLLM
            from ragas.metrics import collections
        except ImportError as error:
            raise MissingExtra("ragas", "judge") from error
        InstructorBaseRagasLLM.register(_Judge)
        BaseRagasEmbedding.register(_Embeddings)
        return cls(collections)

    async def score(
        self,
        measure: str,
        inputs: Mapping[str, Any],
        *,
        endpoint: Endpoint,
        embed: Callable[[Sequence[str]], Vectors] | None,
    ) -> float:
        """The value of one measure, between 0 and 1.

        Args:
            measure: One of READS.
            inputs: Its fields by ragas' names, none empty.
            endpoint: Where the judge answers.
            embed: Needed by `answer_relevancy` only.

        Raises:
            NoVerdict: The judge's replies give no value.
        """
        parts: dict[str, Any] = {"llm": _Judge(endpoint)}
        if measure == "answer_relevancy":
            parts["embeddings"] = _Embeddings(embed)
        metric = getattr(self.collections, _CLASSES[measure])(**parts)
        try:
            value = float((await metric.ascore(**inputs)).value)
        except NoVerdict:
            raise
        except (RagwrightError, ValueError) as error:
            raise NoVerdict(str(error), again=False) from error
        if math.isnan(value):
            raise NoVerdict("the judge's replies give no number", again=False)
        return min(max(value, 0.0), 1.0)  # a cosine may be negative, or above 1 by rounding


class _Judge:
    """A language model as ragas' metrics use it, for the steps of one verdict."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._statements: int | None = None

    async def agenerate(self, prompt: str, response_model: type[pydantic.BaseModel]) -> pydantic.BaseModel:
        """The judge's reply as a value of the model that ragas asks for."""
        return await self._endpoint.ask(
            prompt,
            schema=response_model.model_json_schema(),
            read=lambda content: self._read(content, response_model),
        )

    def _read(self, content: str, model: type[pydantic.BaseModel]) -> pydantic.BaseModel:
        """The first object of a reply that fits the model and can be counted."""
        for found in json_objects(content):
            try:
                value = model.model_validate(found)
            except pydantic.ValidationError:
                continue
            self._check(value.model_dump())
            return value
        raise NoVerdict(f"the reply holds no {model.__name__}: {content[:80]!r}")

    def _check(self, reply: Mapping[str, Any]) -> None:
        """Refuse what ragas would count wrongly, and remember how many statements need a verdict.

        Raises:
            NoVerdict: An entry is empty or out of range, or verdicts are missing.
        """
        _refuse_out_of_range(reply)
        if reply.get("question") == "":
            raise NoVerdict("the judge made an empty question")
        for name, entries in reply.items():
            if not isinstance(entries, list):
                continue
            if not entries:
                raise NoVerdict(f"the judge found no {name}")
            if isinstance(entries[0], str):
                self._statements = len(entries)
                continue
            for entry in entries:
                _refuse_out_of_range(entry)
            if self._statements not in (None, len(entries)):
                raise NoVerdict(f"{len(entries)} verdicts for {self._statements} statements")


def _refuse_out_of_range(entry: Mapping[str, Any]) -> None:
    """Raise NoVerdict for a verdict that is neither 0 nor 1."""
    for name in _VERDICTS:
        if entry.get(name, 0) not in (0, 1):
            raise NoVerdict(f"{name} is {entry[name]}, neither 0 nor 1")


class _Embeddings:
    """Our encoder as ragas' metrics use it."""

    def __init__(self, embed: Callable[[Sequence[str]], Vectors] | None) -> None:
        self._embed = embed

    async def aembed_text(self, text: str) -> list[float]:
        """The vector of one text."""
        return (await self.aembed_texts([text]))[0]

    async def aembed_texts(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts, in input order; computed in this thread, as an encoder may not be shared."""
        if self._embed is None:
            raise NoVerdict("no encoder was given to compare questions with", again=False)
        return [[float(part) for part in vector] for vector in self._embed(texts)]
