"""Two made-up runs over made-up manuals, scored by the real measures: what the report's tests show."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragwright.core.types import Citation, Evidence, Place, Question, Span, Usage
from ragwright.eval.overlap import Characters
from ragwright.eval.score import Scoring, frontier, score
from ragwright.eval.values import Found, Outcome, Ranked, Reply, Row, Run

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DEFAULT_SHARE = 0.6
_MACHINES = ("bilge pump", "anchor winch", "fuel separator", "bow thruster", "steering gear", "fire main")
_PARTS = ("seal", "impeller", "bearing", "gasket", "filter", "valve seat", "coupling", "relief valve")
_TASKS = ("replaced", "inspected", "greased", "flushed", "calibrated", "tightened")
_UNITS = ("running hours", "days", "months", "voyages")
_REMARKS = (
    "Record the work in the log, with the name of the engineer who did it.",
    "A worn part is never put back, not even for the way to the next harbour.",
    "Work begins only when the breaker is locked and the tag hangs on it.",
    "Spare parts are kept in the forward store, on the shelf beside the ladder.",
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a manual: where it stands, and what it says of what."""

    span: Span
    machine: str
    part: str
    task: str
    interval: str


@dataclass(frozen=True, slots=True)
class Manuals:
    """Texts by source, their chunks by id with their headings, and the sentences that state a fact."""

    texts: Mapping[str, str]
    chunks: Mapping[str, tuple[Span, str]]
    sentences: tuple[Sentence, ...]

    def text(self, span: Span) -> str:
        """The characters of a span."""
        return self.texts[span.document_id][span.start : span.end]

    def around(self, span: Span) -> tuple[str, str]:
        """The 160 characters before and after it."""
        text = self.texts[span.document_id]
        return text[max(0, span.start - 160) : span.start], text[span.end : span.end + 160]


@dataclass(frozen=True, slots=True)
class Runs:
    """A run, a weaker baseline on the same questions, and the documents of both."""

    run: Run
    baseline: Run
    texts: Mapping[str, str]


def make_runs(questions: int = 40, *, seed: int = 7) -> Runs:
    """Two runs with a dial, replies, an error, empty results and unanswerable questions."""
    manuals = write_manuals(seed=seed)
    asked = ask(manuals, questions, seed=seed)
    good = [_outcome(each, manuals, skill=0.7, seed=seed + n) for n, each in enumerate(asked)]
    weak = [_outcome(each, manuals, skill=0.3, seed=seed + 900 + n) for n, each in enumerate(asked)]
    good[11] = replace(good[11], found=(), ranked=(), reply=None, dial={}, error="the encoder did not answer")
    good[17] = replace(good[17], found=(), ranked=(), reply=None, dial={})
    return Runs(
        _run("evidence-0.6", good, manuals, baseline="bm25-only"),
        _run("bm25-only", weak, manuals, baseline=None),
        manuals.texts,
    )


def write_manuals(*, seed: int) -> Manuals:
    """One manual for each machine, Markdown or text."""
    chance = random.Random(seed)
    texts: dict[str, str] = {}
    chunks: dict[str, tuple[Span, str]] = {}
    sentences: list[Sentence] = []
    for number, machine in enumerate(_MACHINES):
        source = f"manuals/{machine.replace(' ', '-')}.{'md' if number % 2 else 'txt'}"
        text = f"# Maintenance of the {machine}\n\n"
        for part in _PARTS:
            start = len(text)
            for task in chance.sample(_TASKS, 4):
                interval = f"{chance.randrange(10, 900, 10)} {chance.choice(_UNITS)}"
                line = f"The {part} of the {machine} is {task} every {interval}."
                span = Span(source, len(text), len(text) + len(line))
                sentences.append(Sentence(span, machine, part, task, interval))
                text += f"{line} {chance.choice(_REMARKS)} "
            text = text.rstrip()
            chunks[f"{number:02}-{part}"] = (Span(source, start, len(text)), f"The {part}")
            text += "\n\n"
        texts[source] = text
    return Manuals(texts, chunks, tuple(sentences))


def ask(manuals: Manuals, count: int, *, seed: int) -> list[Question]:
    """Questions about single facts; every tenth has no answer, every seventh two references."""
    chance = random.Random(seed)
    asked = []
    for number, fact in enumerate(chance.sample(manuals.sentences, count)):
        text = f"How often is the {fact.part} of the {fact.machine} {fact.task}?"
        references: tuple[Span, ...] = (fact.span,)
        if number % 7 == 3:
            other = chance.choice(manuals.sentences)
            text = f"How often is the {fact.part} {fact.task}, and how often the {other.part} {other.task}?"
            references = (fact.span, other.span)
        if number % 10 == 4:
            text, references = f"Who built the {fact.machine} and in which year was it launched?", ()
        metadata = {
            "corpus": fact.machine,
            "kind": ("look-up", "two facts")[len(references) > 1] if references else "out of scope",
            "language": "en",
        }
        answer = f"Every {fact.interval}." if references else ""
        asked.append(Question(f"{number + 1}", text, references, answer, metadata))
    return asked


def _outcome(question: Question, manuals: Manuals, *, skill: float, seed: int) -> Outcome:
    """Hits in an order that a search of some skill would find."""
    chance = random.Random(seed)
    goodness = {
        key: chance.random() * 0.62
        + (skill if any(span.overlaps(each) for each in question.references) else 0)
        for key, (span, _) in manuals.chunks.items()
    }
    ranking = sorted(goodness, key=lambda key: -goodness[key])
    marks = {
        fact.span: 0.8 * chance.random() ** 2
        + (skill * (0.3 + chance.random()) if fact.span in question.references else 0.0)
        for fact in manuals.sentences
    }
    best = max(marks.values())
    found = tuple(
        _found(key, rank, goodness[key], manuals, {s: m / best for s, m in marks.items()})
        for rank, key in enumerate(ranking[:10], start=1)
    )
    spans = [(each.span, marks[each.span] / best) for each in manuals.sentences]
    inside = [(s, m) for s, m in spans if any(s.overlaps(each.span) for each in found)]
    return Outcome(
        question=question,
        gold=tuple(manuals.text(each) for each in question.references),
        around=tuple(manuals.around(each) for each in question.references),
        found=found,
        ranked=tuple(Ranked(key, manuals.chunks[key][0], goodness[key]) for key in ranking[:40]),
        reply=_reply(found, manuals, chance),
        dial={share: tuple(s for s, m in inside if m >= share) for share in SHARES},
        seconds={
            "encode": 0.004 + chance.random() * 0.004,
            "search": 0.001 + chance.expovariate(600),
            "evidence": 0.002 + chance.expovariate(900),
            "answer": 0.0004 + chance.random() * 0.0004,
        },
    )


def _found(key: str, rank: int, score_: float, manuals: Manuals, marks: Mapping[Span, float]) -> Found:
    span, heading = manuals.chunks[key]
    evidence = tuple(
        Evidence(each, manuals.text(each), min(mark, 1.0))
        for each, mark in marks.items()
        if each.overlaps(span) and mark >= DEFAULT_SHARE
    )
    title = manuals.texts[span.document_id].partition("\n")[0].lstrip("# ")
    return Found(
        chunk_id=key,
        span=span,
        title=title,
        headings=(title, heading),
        page=None if span.document_id.endswith(".md") else 1 + span.start // 2000,
        text=manuals.text(span),
        score=score_,
        scores={
            "dense": score_ * 0.6,
            "sparse": score_ * 14,
            "dense_rank": rank,
            "sparse_rank": rank + 1,
            "fused": 1 / rank,
        },
        evidence=evidence,
        places=(Place(Span("manuals/old.txt", 10, 60), "manuals/old.txt"),) if rank == 9 else (),
    )


def _reply(found: Sequence[Found], manuals: Manuals, chance: random.Random) -> Reply:
    evidence = sorted((e for f in found for e in f.evidence), key=lambda e: -e.score)[:2]
    support = min(1.0, (evidence[0].score if evidence else 0.0) * (0.4 + 0.6 * chance.random()))
    refused = support < 0.5
    citations = tuple(
        Citation(n, each.span, each.text, "exact", each.span.document_id, "A manual", page=1)
        for n, each in enumerate(evidence, start=1)
    )
    text = " ".join(f"{each.text} [{n}]" for n, each in enumerate(evidence, start=1))
    return Reply(
        "The documents do not say." if refused else text, citations, refused, support, Usage(812, 64)
    )


def _run(name: str, outcomes: Sequence[Outcome], manuals: Manuals, *, baseline: str | None) -> Run:
    spans = {key: span for key, (span, _) in manuals.chunks.items()}
    scoring = Scoring(Characters(), spans, (), manuals.texts.get, published=5)
    rows = score(outcomes, scoring)
    dial = frontier(outcomes, Characters())
    manifest = make_manifest(name, outcomes, manuals, dial=dial, baseline=baseline)
    return Run(manifest, tuple(outcomes), (*rows, *_perturbed(rows)))


def _perturbed(rows: Sequence[Row]) -> list[Row]:
    """The rows of questions with typing errors and in lower case."""
    drops = {"typos": 0.82, "case": 0.98}
    return [
        Row(row.question_id, f"{row.measure}~{name}", row.value * (kept if len(row.question_id) > 1 else 1.0))
        for name, kept in drops.items()
        for row in rows
        if row.measure in ("iou", "recall")
    ]


_FIXED: Mapping[str, Any] = {
    "created": "2026-11-20T10:41:00+00:00",
    "command": "ragwright eval run ship-manuals.jsonl --set search.evidence=0.6",
    "config": {
        "search.mode": "hybrid",
        "search.limit": 10,
        "search.evidence": DEFAULT_SHARE,
        "ingest.chunker": "sentences",
        "ingest.chunk_tokens": 180,
    },
    "models": {"encoder": "all-MiniLM-L6-v2 53aa51172d14 mean-pooled"},
    "code": {"ragwright": "0.1.0", "digest": "36d87ae", "python": "3.11.2"},
    "machine": {"cpu": "AMD EPYC 9B14", "cores": 2, "memory_gb": 8.3},
    "seeds": {"bootstrap": 0, "randomisation": 0},
    "units": "characters",
    "seconds": {"ingest": 4.2, "search": 0.6, "score": 0.3},
    "peak_megabytes": 412.5,
}
_FAILURES = {
    "scans/log-1998.pdf": "no text on any page",
    "scans/log-1999.pdf": "no text on any page",
    "drawings/hull.dwg": "unknown kind of file",
}


def make_manifest(
    name: str,
    outcomes: Sequence[Outcome],
    manuals: Manuals,
    *,
    dial: list[dict[str, Any]],
    baseline: str | None,
) -> dict[str, Any]:
    """A manifest as a run writes it."""
    chunks = len(manuals.chunks)
    dataset = {
        "name": "ship manuals",
        "format": "chroma",
        "digest": "9f2c" * 16,
        "questions": len(outcomes),
        "answerable": sum(bool(each.question.references) for each in outcomes),
        "documents": len(manuals.texts),
    }
    seconds = {"parse": 1.1, "encode": 2.6, "index": 0.5}
    ingest = {
        "added": 6,
        "failed": 3,
        "chunks": chunks,
        "tokens": 8120,
        "failures": _FAILURES,
        "seconds": seconds,
    }
    return {
        "name": name,
        **_FIXED,
        "dataset": dataset,
        "index": {"version": "3", "chunks": chunks, "chunkers": {"sentences-180": chunks}},
        "ingest": ingest,
        "frontier": dial,
        "baseline": baseline,
    }
