"""Questions by kind, so that a mean does not hide where a system is weak."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ragwright.core.errors import InputError
from ragwright.eval.statistics import Estimate, by_measure, estimate
from ragwright.eval.values import Outcome, Run


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to divide questions.

    Attributes:
        meaning: What it tells, in a few words.
        value_of: The value of a question; None leaves the question out.
        order: Values in their natural order; empty: the value with most questions comes first.
    """

    meaning: str
    value_of: Callable[[Outcome], str | None]
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """The questions with one value of a dimension.

    Attributes:
        value: The value they share.
        n: How many questions they are.
        estimates: By measure, in the order asked for; an estimate's own `n` may be smaller, and a measure
            that no question here has is absent. An interval tells how little a small slice means.
    """

    value: str
    n: int
    estimates: Mapping[str, Estimate]


_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{0,7}|\.7z")
_WORD = re.compile(r"[^\W_]+")
_PREPOSITION = re.compile("about|at|by|during|for|from|in|of|on|to|under|upon|with|within")
_AUXILIARY = re.compile(
    "(am|are|is|was|were|do|does|did|have|has|had|can|could|will|would|shall|should|may|might|must)n?|won"
)  # the apostrophe of "isn't" ends the word
_BY_FIRST_WORD = {
    "when": "when",
    "who": "who",
    "whom": "who",
    "whose": "who",
    "where": "where",
    "why": "why",
    "how": "how",
    "which": "which or what",
    "what": "which or what",
}
_LENGTHS = ((5, "1-5 words"), (10, "6-10 words"), (20, "11-20 words"))
_LONGEST = "over 20 words"
_MOST_REFERENCES = 4


def document_type(outcome: Outcome) -> str:
    """The suffix of the first reference's source, such as "pdf"."""
    if not outcome.question.references:
        return "no document"
    suffix = PurePosixPath(outcome.question.references[0].document_id).suffix.lower()
    return suffix[1:] if _SUFFIX.fullmatch(suffix) else "no suffix"


def question_type(outcome: Outcome) -> str:
    """The question's stated kind, else what its first words ask for; the rule knows English only.

    Returns:
        `metadata["kind"]` where there is one, else one of "how many or how much", "when", "who", "where",
        "why", "how", "which or what", "yes or no", "keywords" (neither a question word nor a mark at the end)
        and "other".
    """
    return _stated("kind")(outcome) or _asked_for(outcome.question.text)


def question_length(outcome: Outcome) -> str:
    """How many words a question has, counted between white space."""
    words = len(outcome.question.text.split())
    return next((name for most, name in _LENGTHS if words <= most), _LONGEST)


def reference_count(outcome: Outcome) -> str:
    """How many references a question has: "0" to "3", then "4 or more"."""
    count = len(outcome.question.references)
    return str(count) if count < _MOST_REFERENCES else f"{_MOST_REFERENCES} or more"


def answerable(outcome: Outcome) -> str:
    """Whether the documents answer a question."""
    return "answerable" if outcome.question.references else "unanswerable"


def _stated(key: str) -> Callable[[Outcome], str | None]:
    """What a question's metadata says under a key; None where it says nothing."""

    def value_of(outcome: Outcome) -> str | None:
        value = outcome.question.metadata.get(key)
        return None if value is None else str(value).strip() or None

    return value_of


def _asked_for(text: str) -> str:
    words = _WORD.findall(text.lower())[:3]
    if len(words) > 1 and _PREPOSITION.fullmatch(words[0]):  # "in which year", "to whom"
        words = words[1:]
    if words[:1] == ["how"] and words[1:2] in (["many"], ["much"]):
        return "how many or how much"
    if words and words[0] in _BY_FIRST_WORD:
        return _BY_FIRST_WORD[words[0]]
    if words and _AUXILIARY.fullmatch(words[0]):
        return "yes or no"
    return "other" if text.rstrip().endswith(("?", ".", "!", ":")) else "keywords"


DIMENSIONS: Mapping[str, Dimension] = {
    "document type": Dimension("suffix of the first reference's source", document_type),
    "corpus": Dimension("`corpus` of the question's metadata", _stated("corpus")),
    "question type": Dimension("what the question asks for", question_type),
    "question length": Dimension(
        "words of the question", question_length, (*(name for _, name in _LENGTHS), _LONGEST)
    ),
    "language": Dimension("`language` of the question's metadata", _stated("language")),
    "domain": Dimension("`domain` of the question's metadata", _stated("domain")),
    "number of references": Dimension(
        "spans that answer the question", reference_count, ("0", "1", "2", "3", f"{_MOST_REFERENCES} or more")
    ),
    "answerable": Dimension(
        "whether the documents answer the question", answerable, ("answerable", "unanswerable")
    ),
}


def slices(outcomes: Sequence[Outcome]) -> dict[str, dict[str, list[str]]]:
    """Ids of the questions by dimension and value.

    Returns:
        Dimensions in the order of `DIMENSIONS`, without those that give all questions one value; values in
        their natural order or the largest first, then by name; ids in the order of the outcomes.
    """
    divided = {name: _divide(outcomes, dimension) for name, dimension in DIMENSIONS.items()}
    return {
        name: groups
        for name, groups in divided.items()
        if groups and any(len(ids) < len(outcomes) for ids in groups.values())
    }


def slice_table(run: Run, dimension: str, measures: Sequence[str], *, seed: int = 0) -> tuple[Slice, ...]:
    """The estimates of measures for each value of a dimension.

    Returns:
        In the order of `slices`; empty when the dimension does not divide this run's questions.

    Raises:
        InputError: No dimension has this name.
    """
    if dimension not in DIMENSIONS:
        near = difflib.get_close_matches(dimension, DIMENSIONS, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"unknown dimension {dimension!r}; {meant}known are {', '.join(DIMENSIONS)}")
    return slice_tables(run, measures, dimensions=[dimension], seed=seed).get(dimension, ())


def slice_tables(
    run: Run, measures: Sequence[str], *, dimensions: Iterable[str] = DIMENSIONS, seed: int = 0
) -> dict[str, tuple[Slice, ...]]:
    """The slice table of every dimension that divides this run's questions, in the order of `slices`."""
    values = by_measure(run.rows)
    chosen = {measure: values.get(measure, {}) for measure in measures}
    wanted = set(dimensions)
    return {
        name: tuple(_slice(value, ids, chosen, seed=seed) for value, ids in groups.items())
        for name, groups in slices(run.outcomes).items()
        if name in wanted
    }


def _divide(outcomes: Sequence[Outcome], dimension: Dimension) -> dict[str, list[str]]:
    """Ids by value, in the order in which values are shown."""
    groups: dict[str, list[str]] = {}
    for outcome in outcomes:
        value = dimension.value_of(outcome)
        if value is not None:
            groups.setdefault(value, []).append(outcome.question.id)
    if dimension.order:
        return {value: groups[value] for value in dimension.order if value in groups}
    return dict(sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])))


def _slice(value: str, ids: Sequence[str], chosen: Mapping[str, Mapping[str, float]], *, seed: int) -> Slice:
    present = {
        measure: [values[question_id] for question_id in ids if question_id in values]
        for measure, values in chosen.items()
    }
    return Slice(
        value,
        len(ids),
        {measure: estimate(found, measure=measure, seed=seed) for measure, found in present.items() if found},
    )
