"""`ragwright tune negatives`: training examples, with passages that look like an answer and are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import Console, escape_control
from ragwright.app.progress import Counter
from ragwright.app.session import Options, open_session

if TYPE_CHECKING:
    from ragwright.app.tuning.examples import MinedExamples
    from ragwright.finetune.examples import MiningReport
    from ragwright.finetune.values import Part

_MEANINGS: Mapping[str, str] = {
    "same_question": "answers a question of the same words",
    "quote": "holds the words of the answer",
    "duplicate": "is nearly the text of an answer",
    "neighbour": "stands beside an answer",
    "score": "scores nearly as high as the answer",
}


def tune_negatives(
    options: Options,
    *,
    per_question: Annotated[
        int | None, typer.Option("--per-question", min=0, metavar="COUNT", help="Most negatives of each.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin", metavar="SHARE", help="Share of the answer's score that a negative may have."
        ),
    ] = None,
) -> int:
    """Make training examples of the questions, with hard negatives.

    Each question of the parts train and dev is asked. What the retriever ranks high and no label names
    becomes a negative, unless a rule says that it may be an answer too: it answers a question of the same
    words, holds the words of the answer, is nearly its text, stands beside it, or scores nearly as high. How
    many fell to each rule is told, and an audit file lists every one.
    """
    from ragwright.app.access import reading
    from ragwright.app.tuning.examples import mine_examples, questions_by_part

    flags = {"negatives.per_question": per_question, "negatives.margin": margin}
    session = open_session(options, flags=flags)
    console = session.console
    with reading(session.config, purpose="ragwright tune negatives", console=console) as workspace:
        total = sum(map(len, questions_by_part(workspace).values()))
        with Counter(console, "questions asked", total) as counter:
            made = mine_examples(workspace, told=counter.advance_to)
    _tell(made, console)
    return 0


def _tell(made: MinedExamples, console: Console) -> None:
    if console.json:
        console.emit_json({"folder": made.folder, "parts": made.reports})
    parts = list(made.reports)
    console.table(["", *parts], _rows(made.reports))
    console.out("")
    rules = [rule for rule in _MEANINGS if any(each.fell[rule] for each in made.reports.values())]
    rows = [(_MEANINGS[rule], *(f"{made.reports[part].fell[rule]:,}" for part in parts)) for rule in rules]
    console.table(["hits left out, since the hit", *parts], rows)
    console.out("\nexamples ", escape_control(str(made.folder), keep=""))


def _rows(reports: Mapping[Part, MiningReport]) -> list[tuple[str, ...]]:
    lines = {
        "questions": [each.questions for each in reports.values()],
        "of these without a chunk that answers": [each.without_positive for each in reports.values()],
        "hits looked at": [each.looked_at for each in reports.values()],
        "negatives": [each.negatives for each in reports.values()],
        "examples without any": [each.bare for each in reports.values()],
        "whose answer was not found": [each.unfound for each in reports.values()],
    }
    return [(name, *(f"{count:,}" for count in counts)) for name, counts in lines.items()]
