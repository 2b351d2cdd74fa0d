"""Measures judged by a language model: what is asked of it, what it cost, and what it failed to say.

A failed call never enters an average: it gives no row and is listed with its reason.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import ConfigError
from ragwright.core.types import Evidence
from ragwright.eval.judge_cache import VerdictCache, verdict_key
from ragwright.eval.judge_endpoint import Endpoint, JudgeSettings, NoVerdict
from ragwright.eval.judge_ragas import READS, Ragas, ragas_version
from ragwright.eval.values import Found, Outcome, Reply, Row

__all__ = ["JUDGED", "FailedCall", "JudgeResult", "JudgeSettings", "judge"]

JUDGED = tuple(READS)
"""The measures, in the order of tables."""

GIVE_UP_AFTER = 20
"""Failed verdicts in a row after which the rest is not tried: the endpoint is gone."""


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A verdict that was asked for and not given."""

    question_id: str
    measure: str
    reason: str


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """What a judge said, and what it did not say.

    Attributes:
        rows: Values between 0 and 1, in the outcomes' order.
        failed: In the same order; none of these has a row.
        skipped: By measure and reason, how many questions the measure does not apply to: no reply, a
            refusal, no reference answer, no encoder.
        calls: Requests sent to the endpoint, repeated ones included.
        cached: Verdicts taken from the cache.
    """

    rows: tuple[Row, ...]
    failed: tuple[FailedCall, ...]
    skipped: Mapping[str, Mapping[str, int]]
    calls: int
    cached: int


@dataclass(frozen=True, slots=True)
class _Task:
    """One verdict to be had: its inputs by ragas' names, and its key in the cache."""

    question_id: str
    measure: str
    inputs: Mapping[str, Any]
    key: str

    @property
    def empty(self) -> bool:
        """Whether nothing was found, so that the value is 0 and no judge is needed."""
        return self.inputs.get("retrieved_contexts") == []


def judge(
    outcomes: Sequence[Outcome],
    *,
    settings: JudgeSettings,
    cache: Path,
    measures: Sequence[str] = JUDGED,
    text_of: Callable[[str], str | None] | None = None,
) -> JudgeResult:
    """Judge what a run found and answered.

    A context is a hit's evidence, or its chunk's text when it has none. Where nothing was found the measures
    that read contexts are 0 and no judge is asked.

    Args:
        outcomes: Of a run.
        settings: The judge.
        cache: Folder of verdicts, keyed by content; a second run over the same outcomes sends nothing.
        measures: Some of JUDGED.
        text_of: Canonical text of a source, for evidence that was recorded without its characters.

    Raises:
        ConfigError: An unknown measure, or a concurrency or timeout that is not positive.
        MissingExtra: ragas is not installed.
        InputError: The cache folder cannot be used.
    """
    _check(settings, measures)
    tasks, skipped = _plan(outcomes, measures=measures, settings=settings, text_of=text_of)
    verdicts = VerdictCache(cache)
    values: dict[int, float | NoVerdict] = dict(_known(tasks, verdicts))
    cached = sum(not tasks[number].empty for number in values)
    missing = [number for number in range(len(tasks)) if number not in values]
    calls = 0
    if missing:
        asked, calls = _run(_ask([tasks[number] for number in missing], settings, verdicts))
        values |= dict(zip(missing, asked, strict=True))
    rows = tuple(_rows(tasks, values))
    return JudgeResult(rows, tuple(_failed(tasks, values)), skipped, calls, cached)


def _known(tasks: Sequence[_Task], verdicts: VerdictCache) -> Iterable[tuple[int, float]]:
    """Number and value of the tasks that need no judge."""
    for number, task in enumerate(tasks):
        known = 0.0 if task.empty else verdicts.get(task.key)
        if known is not None:
            yield number, known


def _check(settings: JudgeSettings, measures: Sequence[str]) -> None:
    """Refuse settings that cannot work."""
    unknown = [name for name in measures if name not in READS]
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is no judged measure; choose from {', '.join(JUDGED)}")
    if settings.concurrency < 1 or settings.timeout_seconds <= 0:
        raise ConfigError(
            f"concurrency is {settings.concurrency} and timeout_seconds {settings.timeout_seconds:g}; "
            "both must be positive"
        )


def _plan(
    outcomes: Sequence[Outcome],
    *,
    measures: Sequence[str],
    settings: JudgeSettings,
    text_of: Callable[[str], str | None] | None,
) -> tuple[list[_Task], dict[str, dict[str, int]]]:
    """The verdicts to be had, and how many are not to be had, by measure and reason."""
    ragas = ragas_version()
    tasks = []
    skipped: dict[str, Counter[str]] = {name: Counter() for name in measures}
    for outcome in outcomes:
        fields = _fields(outcome, text_of)
        for measure in measures:
            reason = _unfit(outcome, measure, has_encoder=settings.embed is not None)
            if reason:
                skipped[measure][reason] += 1
                continue
            inputs = {name: fields[name] for name in READS[measure]}
            encoder = settings.encoder if measure == "answer_relevancy" else ""
            key = verdict_key(measure, inputs, model=settings.model, ragas=ragas, encoder=encoder)
            tasks.append(_Task(outcome.question.id, measure, inputs, key))
    return tasks, {name: dict(counts) for name, counts in skipped.items()}


def _unfit(outcome: Outcome, measure: str, *, has_encoder: bool) -> str:
    """Why a measure does not apply to an outcome, or ""."""
    reads, reply = READS[measure], outcome.reply
    if "reference" in reads and not outcome.question.answer.strip():
        return "no reference answer"
    if "response" in reads and (reply is None or not reply.text.strip()):
        return "no answer"
    if "response" in reads and reply is not None and reply.refused:
        return "refused"
    if measure == "answer_relevancy" and not has_encoder:
        return "no encoder"
    return ""


def _fields(outcome: Outcome, text_of: Callable[[str], str | None] | None) -> dict[str, Any]:
    """Everything that a measure may read of an outcome, by ragas' names."""
    contexts = (_context(found, text_of) for found in outcome.found)
    return {
        "user_input": outcome.question.text,
        "response": _spoken(outcome.reply) if outcome.reply else "",
        "retrieved_contexts": [context for context in contexts if context.strip()],
        "reference": outcome.question.answer,
    }


def _spoken(reply: Reply) -> str:
    """An answer without its citation marks, which a judge may take for claims."""
    marks = "|".join(str(citation.marker) for citation in reply.citations)
    return re.sub(rf"\s*\[(?:{marks})\]", "", reply.text) if marks else reply.text


def _context(found: Found, text_of: Callable[[str], str | None] | None) -> str:
    """The evidence of a hit, one span a line; its chunk's text when it has none."""
    return "\n".join(_characters(each, text_of) for each in found.evidence) or found.text


def _characters(evidence: Evidence, text_of: Callable[[str], str | None] | None) -> str:
    """The characters of a span, from the document when the run did not record them."""
    if evidence.text or text_of is None:
        return evidence.text
    text = text_of(evidence.span.document_id) or ""
    return text[evidence.span.start : evidence.span.end]


async def _ask(
    tasks: Sequence[_Task], settings: JudgeSettings, verdicts: VerdictCache
) -> tuple[list[float | NoVerdict], int]:
    """Ask for verdicts, keep each as it comes, and count the requests; results in the tasks' order."""
    ragas = Ragas.load()
    free = asyncio.Semaphore(settings.concurrency)
    failures = 0

    async def one(task: _Task) -> float | NoVerdict:
        nonlocal failures
        async with free:
            if failures >= GIVE_UP_AFTER:
                return NoVerdict(f"not tried: {GIVE_UP_AFTER} verdicts in a row had failed")
            try:
                value = await ragas.score(task.measure, task.inputs, endpoint=endpoint, embed=settings.embed)
            except NoVerdict as error:
                failures += 1
                return error
            failures = 0
            verdicts.add(task.key, value, measure=task.measure, model=settings.model)
            return value

    async with Endpoint(settings) as endpoint:
        return list(await asyncio.gather(*map(one, tasks))), endpoint.requests


def _run(
    work: Coroutine[Any, Any, tuple[list[float | NoVerdict], int]],
) -> tuple[list[float | NoVerdict], int]:
    """Run to the end, in a thread of its own where this one has a running event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _rows(tasks: Sequence[_Task], values: Mapping[int, float | NoVerdict]) -> Iterable[Row]:
    """The verdicts that were had."""
    for number, task in enumerate(tasks):
        value = values[number]
        if not isinstance(value, NoVerdict):
            yield Row(task.question_id, task.measure, value)


def _failed(tasks: Sequence[_Task], values: Mapping[int, float | NoVerdict]) -> Iterable[FailedCall]:
    """The verdicts that were not had."""
    for number, task in enumerate(tasks):
        value = values[number]
        if isinstance(value, NoVerdict):
            yield FailedCall(task.question_id, task.measure, str(value))
