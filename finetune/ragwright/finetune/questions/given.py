"""Questions that people have asked: of their own, of data sets, and of the chat page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ragwright.core.types import Span
from ragwright.finetune.questions.asking import Reply, Request, question_id
from ragwright.finetune.questions.coverage import questions_by_chunk
from ragwright.finetune.questions.model_source import task_of
from ragwright.finetune.values import Audited, LabelledQuestion, Origin

FEEDBACK = "feedback-1"
NOT_ANSWERING = "not_answering"
"""Key of a question's metadata: places that somebody judged not to support the answer, as spans."""

GIVEN_ID = "given_id"
"""Key of a question's metadata: its id where it was given."""

_STANDING = ("exact", "normalised", "elsewhere")


class GivenQuestions:
    """Questions that are there already, asked chunk by chunk like those of any other source."""

    def __init__(self, questions: Sequence[LabelledQuestion], *, origin: Origin) -> None:
        """Take questions of one origin."""
        self.origin = origin
        self._questions = [_as_given(each, origin) for each in questions]
        self._left = {each.id for each in self._questions}

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Those whose references begin in the chunk of each request; every question is given once."""
        subjects = {request.subject.source: request.subject for request in requests}
        asked = [each for each in self._questions if each.id in self._left and each.sources & subjects.keys()]
        by_chunk = questions_by_chunk(list(subjects.values()), asked)
        replies = []
        for request in requests:
            own = [each for each in by_chunk.get(request.chunk.id, ()) if each.id in self._left][
                : request.wanted
            ]
            self._left -= {each.id for each in own}
            replies.append(Reply(tuple(own)))
        return replies

    def unplaced(self) -> list[Audited]:
        """Rows for the questions that no chunk has been asked for: none holds a reference of theirs."""
        from ragwright.finetune.questions.filters import audited

        reason = "no chunk of the collection holds the start of a reference; is its document ingested?"
        return [audited(each, "no_chunk", reason) for each in self._questions if each.id in self._left]


def _as_given(question: LabelledQuestion, origin: Origin) -> LabelledQuestion:
    """A question with an id of its words and places, since several files may use the same ids."""
    return replace(
        question,
        id=question_id(question.text, question.references),
        origin=origin,
        task=question.task or task_of(question.text),
        metadata={**question.metadata, GIVEN_ID: question.id},
    )


def of_feedback(
    rows: Iterable[Mapping[str, Any]], sources: Mapping[str, str]
) -> tuple[list[LabelledQuestion], list[Audited]]:
    """Labelled questions of reviewed feedback.

    A citation that was rated up is a reference. Where the answer as a whole was rated up, all of its
    citations are, but those that were rated down. What was rated down stands in the metadata.

    Args:
        rows: As `ragwright feedback export` writes them.
        sources: Source by document id.

    Returns:
        The questions, and an audit row for every other one.
    """
    questions: list[LabelledQuestion] = []
    audit: list[Audited] = []
    for row in rows:
        found = _of_feedback(row, sources)
        if isinstance(found, str):
            facts = {"question": row.get("question"), "trace_id": row.get("trace_id")}
            audit.append(Audited(str(row.get("trace_id", "")), "feedback_unused", found, True, facts))
        else:
            questions.append(found)
    return questions, audit


def _of_feedback(row: Mapping[str, Any], sources: Mapping[str, str]) -> LabelledQuestion | str:
    if row.get("reviewed") is not True:
        return 'nobody has reviewed it: "reviewed" is not true'
    if row.get("refused") or not row.get("answer"):
        return "it is a refusal, so that nothing is cited"
    ratings = row.get("ratings") or []
    up, down = _markers(ratings, 1), _markers(ratings, -1)
    cited = [each for each in row.get("citations") or [] if each.get("state") in _STANDING]
    good = [each for each in cited if each["marker"] in up or (None in up and each["marker"] not in down)]
    if not good:
        return "no citation of it was rated up"
    placed = [(_span(each, sources), str(each["quote"])) for each in good]
    spans = {span: quote for span, quote in placed if span is not None}
    if not spans:
        return "the documents that it cites are not in the workspace any more"
    text = str((row.get("query") if row.get("history") else None) or row.get("question") or "").strip()
    ordered = sorted(spans)
    bad = [_span(each, sources) for each in cited if each["marker"] in down]
    judged = [
        {"source": span.document_id, "start": span.start, "end": span.end} for span in bad if span is not None
    ]
    return LabelledQuestion(
        id=question_id(text, ordered),
        text=text,
        references=tuple(ordered),
        quotes=tuple(spans[span] for span in ordered),
        origin="feedback",
        recipe=FEEDBACK,
        metadata={"trace_id": row.get("trace_id"), **({NOT_ANSWERING: judged} if judged else {})},
    )


def _markers(ratings: Iterable[Mapping[str, Any]], rating: int) -> set[int | None]:
    """Markers that were rated so, None for the answer as a whole; the last word on each counts."""
    last = {each.get("marker"): each.get("rating") for each in ratings}
    return {marker for marker, said in last.items() if said == rating}


def _span(citation: Mapping[str, Any], sources: Mapping[str, str]) -> Span | None:
    span = citation["span"]
    source = sources.get(span["document_id"])
    return None if source is None else Span(source, int(span["start"]), int(span["end"]))
