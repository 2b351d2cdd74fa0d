"""`ragwright tune questions`: questions about the documents, with the exact spans that answer them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import escape_control
from ragwright.app.progress import Counter as ProgressCounter
from ragwright.app.session import Options, Session, open_session

if TYPE_CHECKING:
    from ragwright.app.tuning.questions import Planned, Wanted
    from ragwright.finetune.questions.making import Made

_THIN_SHOWN = 5


def tune_questions(
    options: Options,
    *,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="NAME|PATH",
            help="structure, model, a data set, or exported feedback; repeatable, asked in their order. "
            "[default: structure]",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="COUNT", help="Most questions in all.")
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples", metavar="FILE", help="Questions of your own that a language model is shown."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, metavar="NUMBER", help="Of everything that is drawn.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Deal documents out to train, dev and test anew.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what there is to ask, and ask nothing.")
    ] = False,
) -> int:
    """Make questions about the documents, to tune with.

    Structure needs no language model: headings, definitions, lists, tables and statements are turned into
    questions. Every question names the exact spans that answer it. Those that cannot be answered, that need
    the passage to be understood, or that were asked before are dropped; an audit file says why. Documents
    are dealt out to train, dev and test.
    """
    from ragwright.app.access import reading
    from ragwright.app.tuning.questions import Wanted, make, plan

    session = open_session(options, flags={"questions.examples": examples})
    wanted = Wanted(tuple(source or ("structure",)), limit, seed, fresh)
    most = limit or session.config.questions.most
    with reading(session.config, purpose="ragwright tune questions", console=session.console) as workspace:
        if dry_run:
            _tell_plan(plan(workspace, wanted), session)
            return 0
        with ProgressCounter(session.console, "questions kept", most) as counter:
            made = make(workspace, wanted, told=counter.advance_to)
        _tell(made, wanted, session, workspace.folder)
    return 0


def _tell_plan(planned: Planned, session: Session) -> None:
    console = session.console
    if console.json:
        console.emit_json(planned)
    counts = f"{planned.documents:,} documents, {planned.sections:,} sections, {planned.chunks:,} chunks"
    console.out(counts)
    console.table(["source", "offers"], [(name, f"{count:,}") for name, count in planned.drafts.items()])
    if planned.tasks:
        console.out("")
        console.table(["task", "drafts"], [(task, f"{count:,}") for task, count in planned.tasks.items()])
    console.out("")
    console.table(["part", "documents"], [(part, f"{count:,}") for part, count in planned.parts.items()])


def _tell(made: Made, wanted: Wanted, session: Session, workspace: Path) -> None:
    from ragwright.app.tuning.questions import AUDIT, COVERAGE, FOLDER, QUESTIONS, SPLITS
    from ragwright.finetune.questions.splitting import PART, PARTS

    console, folder = session.console, workspace / FOLDER
    fell = Counter(row.rule for row in made.audit if row.dropped)
    changed = Counter(row.rule for row in made.audit if not row.dropped)
    parts = Counter(question.metadata[PART] for question in made.questions)
    thin = made.coverage.thin()
    if console.json:
        console.emit_json(
            {
                "questions": len(made.questions),
                "sources": wanted.sources,
                "asked": made.asked,
                "parts": {part: parts[part] for part in PARTS},
                "split_by": made.split.by,
                "tasks": made.coverage.tasks,
                "origins": made.coverage.origins,
                "dropped": dict(fell.most_common()),
                "changed": dict(changed.most_common()),
                "sections": len(made.coverage.sections),
                "sections_without_questions": len(thin),
                "files": {name: folder / name for name in (QUESTIONS, AUDIT, COVERAGE, SPLITS)},
            }
        )
    console.out(f"{len(made.questions):,} questions of {made.asked:,} that were made")
    console.table(["part", "questions"], [(part, f"{parts[part]:,}") for part in PARTS])
    console.out("")
    console.table(
        ["task", "questions"], [(task, f"{count:,}") for task, count in made.coverage.tasks.items()]
    )
    if fell:
        console.out("")
        console.table(
            ["dropped for", "questions"], [(rule, f"{count:,}") for rule, count in fell.most_common()]
        )
    if made.split.by == "stretch":
        console.note("there are fewer than three documents: their stretches were dealt out to the parts")
    for place in thin[:_THIN_SHOWN]:
        name = " > ".join((place.source, *place.headings))
        console.note("nothing is asked about ", escape_control(name, keep=""))
    if len(thin) > _THIN_SHOWN:
        console.note(f"nor about {len(thin) - _THIN_SHOWN:,} more sections; {COVERAGE} lists each")
    console.out("\nquestions ", escape_control(str(folder / QUESTIONS), keep=""))
