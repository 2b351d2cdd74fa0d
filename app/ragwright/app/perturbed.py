"""The same questions asked otherwise, and answered from a context that somebody spoiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from ragwright.app.asking import System, ask
from ragwright.core.errors import InputError
from ragwright.core.types import Evidence, Hit, Question, Span
from ragwright.eval.measures import measure_of
from ragwright.eval.values import Outcome, Row

if TYPE_CHECKING:
    from ragwright.app.evaluation import Prepared

PASSAGES = ("irrelevant", "contradicting")
"""What is done to the context of an answer, beside the rules that change questions."""

_UNTOUCHED = ("precision_omega", "compat_omega")  # no question has a part in them
_ADDED = 3  # irrelevant passages in front of the real ones
_POOL = 100  # questions whose best hits irrelevant passages are taken from

Add = Callable[[Question, list[Hit]], list[Hit]]


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The perturbations to try; `all` stands for every one.

    Raises:
        InputError: There is none of a name.
    """
    from ragwright.eval.perturb import PERTURBATIONS

    known = (*PERTURBATIONS, *PASSAGES)
    for name in names:
        if name not in (*known, "all"):
            raise InputError(f'there is no perturbation "{name}"; choose from all, {", ".join(known)}')
    return known if "all" in names else tuple(dict.fromkeys(names))


def perturbed_rows(
    prepared: Prepared,
    outcomes: Sequence[Outcome],
    names: Sequence[str],
    *,
    glossary: Mapping[str, Sequence[str]],
    seed: int,
) -> list[Row]:
    """Rows under every perturbation, over the questions that it applies to.

    A changed question is measured on everything that it can change, a spoiled context on the answer alone.

    Args:
        prepared: What is asked, and what outcomes are scored against.
        outcomes: Of the questions as they are.
        names: See `chosen`.
        glossary: Term to its acronyms and synonyms; the first one is used.
        seed: Of everything that is drawn.

    Raises:
        InputError: Answers were not asked for, and the context of answers is to be spoiled.
    """
    from ragwright.eval.perturb import perturb, perturbed_rows
    from ragwright.eval.score import score

    system, scoring = prepared.system, prepared.scoring
    short = {synonyms[0]: term for term, synonyms in glossary.items() if synonyms}
    rows: list[Row] = []
    for name in names:
        if name in PASSAGES:
            found = score(_ask_spoiled(prepared, outcomes, name, seed=seed), scoring)
            found = [row for row in found if _is_of_answers(row)]
        else:
            changed = (perturb(each, name, seed=seed, glossary=short) for each in prepared.questions)
            asked = ask(system, [each for each in changed if each is not None], dial=())
            found = [row for row in score(asked, scoring) if row.measure not in _UNTOUCHED]
        rows += perturbed_rows(found, name)
    return rows


def _ask_spoiled(prepared: Prepared, outcomes: Sequence[Outcome], name: str, *, seed: int) -> list[Outcome]:
    """Outcomes of the questions whose context the perturbation changes; of the others it says nothing."""
    system = prepared.system
    if system.generator is None:
        raise InputError(f'"{name}" spoils the context of answers; it needs them, so leave --no-answers out')
    pool = _pool(system, outcomes) if name == "irrelevant" else []
    spoil = _contradicted(seed) if name == "contradicting" else _among_irrelevant(pool, seed)
    touched: set[str] = set()

    def add(question: Question, hits: list[Hit]) -> list[Hit]:
        spoiled = spoil(question, hits)
        if len(spoiled) != len(hits):
            touched.add(question.id)
        return spoiled

    asked = ask(system, prepared.questions, dial=(), add=add)
    return [outcome for outcome in asked if outcome.question.id in touched]


def _pool(system: System, outcomes: Sequence[Outcome]) -> list[Hit]:
    """The best hits of many questions that could be asked, each chunk once."""
    hits: dict[str, Hit] = {}
    for question in [outcome.question for outcome in outcomes if outcome.found][:_POOL]:
        filters = question.metadata.get("filters", {})
        found = system.retriever.find(question.text, filters=filters, options=system.options).hits()
        hits |= {hit.chunk.id: hit for hit in found[:2] if hit.evidence}
    return list(hits.values())


def _among_irrelevant(pool: Sequence[Hit], seed: int) -> Add:
    """Put passages of other documents first, as well supported as the middle of the real evidence."""
    from ragwright.eval.perturb_passages import irrelevant

    def add(question: Question, hits: list[Hit]) -> list[Hit]:
        scores = [each.score for hit in hits for each in hit.evidence]
        level = median(scores) if scores else 0.0
        others = irrelevant(question, pool, count=_ADDED, seed=seed)
        return [_scored(each, level) for each in others] + hits

    return add


def _scored(hit: Hit, score: float) -> Hit:
    return replace(hit, evidence=tuple(replace(each, score=score) for each in hit.evidence))


def _contradicted(seed: int) -> Add:
    """Put a contradicting copy in front of every hit that can be contradicted."""

    def add(question: Question, hits: list[Hit]) -> list[Hit]:
        return [each for hit in hits for each in (*_opposite(hit, seed), hit)]

    return add


def _opposite(hit: Hit, seed: int) -> list[Hit]:
    from ragwright.eval.perturb_passages import contradict

    pairs = ((each, contradict(each.text, seed=seed)) for each in hit.evidence)
    evidence = tuple(_said(each, text) for each, text in pairs if text is not None)
    text = contradict(hit.chunk.text, seed=seed)
    if not evidence or text is None:
        return []
    chunk = replace(hit.chunk, id=f"{hit.chunk.id}-contradicted", text=text)
    return [replace(hit, chunk=chunk, evidence=evidence)]


def _said(evidence: Evidence, text: str) -> Evidence:
    """A passage of a document that is not there, so that citing it meets no reference."""
    start = evidence.span.start
    made_up = f"{evidence.span.document_id} contradicted"
    return replace(evidence, text=text, span=Span(made_up, start, start + len(text)))


def _is_of_answers(row: Row) -> bool:
    known = measure_of(row.measure)
    return known is not None and known.group in ("answers", "refusal")
