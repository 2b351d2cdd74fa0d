"""`ragwright eval run`: measure retrieval, evidence and answers on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import escape_control
from ragwright.app.eval_output import tell_errors, tell_estimates, tell_frontier
from ragwright.app.progress import Counter
from ragwright.app.run_folders import find_run, new_run
from ragwright.app.session import Options, Session, open_session

if TYPE_CHECKING:
    from ragwright.app.evaluation import Evaluation, Request
    from ragwright.eval.values import Dataset, Run

DatasetPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET",
        help="A file or folder: native JSON lines, Chroma, SQuAD, BEIR, TREC, LegalBench-RAG or ragas.",
        show_default=False,
    ),
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="Format of the data set; else found from its content."),
]
Documents = Annotated[
    Path | None,
    typer.Option(
        "--documents", metavar="PATH", help="Ingest these into a temporary workspace and ask that one."
    ),
]
Present = Annotated[
    bool, typer.Option("--present", help="Ask the present workspace though the data set has documents.")
]
Sample = Annotated[
    int | None,
    typer.Option("--sample", min=1, metavar="COUNT", help="Ask so many questions, drawn by the seed."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="NUMBER", help="Of everything that is drawn.")]


def eval_run(
    options: Options,
    dataset: DatasetPath,
    *,
    format: Format = None,  # noqa: A002 - the option's name
    documents: Documents = None,
    present: Present = False,
    sample: Sample = None,
    answers: Annotated[
        bool, typer.Option("--answers/--no-answers", help="Whether questions are answered too.")
    ] = True,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Count overlap in tokens of the encoder, not in characters.")
    ] = False,
    published: Annotated[
        int,
        typer.Option(
            "--published",
            min=0,
            metavar="CHUNKS",
            help="Also compute measures as the published code does, over so many chunks.",
        ),
    ] = 0,
    perturb: Annotated[
        list[str] | None,
        typer.Option("--perturb", metavar="NAME", help="Ask changed questions too; all: every change."),
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Let the configured language model judge the answers.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="RUN", help="A run to compare with in the report.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call the run; else named by time.")
    ] = None,
    seed: Seed = 0,
) -> int:
    """Measure retrieval, evidence and answers on a data set.

    A data set that brings documents is asked in a temporary workspace built from them, any other in the
    present workspace. The run keeps its report, its values by question, and what is needed to repeat it.
    """
    from ragwright.app.evaluation import Request
    from ragwright.app.perturbed import chosen

    session = open_session(options)
    request = Request(
        answers=answers,
        units="tokens" if tokens else "characters",
        published=published,
        perturbations=chosen(perturb or ()),
        verdicts=session.config.workspace / "verdicts" if judge else None,
        seed=seed,
    )
    earlier = find_run(session.config, baseline) if baseline else None
    loaded = load(dataset, format=format, sample=sample, seed=seed)
    folder = new_run(session.config, dataset=loaded.name, name=name)
    done = _run(session, loaded, request, folder.name, documents=documents, present=present)
    _write(done, folder, earlier)
    _tell(done.run, folder, session)
    return 1 if any(outcome.error for outcome in done.run.outcomes) else 0


def load(path: Path, *, format: str | None, sample: int | None = None, seed: int = 0) -> Dataset:  # noqa: A002
    """A data set, or a part of it drawn by the seed."""
    from ragwright.eval.datasets import load_dataset
    from ragwright.eval.sampling import drawn

    dataset = load_dataset(path, format=format)
    return dataset if sample is None else drawn(dataset, sample, seed=seed)


def _run(
    session: Session,
    dataset: Dataset,
    request: Request,
    name: str,
    *,
    documents: Path | None,
    present: bool,
) -> Evaluation:
    from ragwright.app.evaluation import evaluate, evaluated_workspace

    console = session.console
    with (
        evaluated_workspace(
            session.config, dataset, documents=documents, present=present, console=console
        ) as place,
        Counter(console, "questions", len(dataset.items)) as counter,
    ):
        return evaluate(place, dataset, request, name=name, done=counter.advance)


def _write(done: Evaluation, folder: Path, baseline: Path | None) -> None:
    from ragwright.eval.exports import write_exports
    from ragwright.eval.report import write_report
    from ragwright.eval.runs import REPORT, read_run, write_run

    run, scoring = done.run, done.scoring
    write_run(run, folder)
    write_exports(run, folder, scoring, tag=folder.name)
    earlier = read_run(baseline) if baseline else None
    write_report(run, folder / REPORT, baseline=earlier, text_of=scoring.text_of)


def _tell(run: Run, folder: Path, session: Session) -> None:
    from ragwright.eval.runs import REPORT
    from ragwright.eval.statistics import estimates

    console = session.console
    if console.json:
        facts = {"run": folder, "report": folder / REPORT, **run.manifest}
        console.emit_json({**facts, "measures": estimates(run.rows)})
    tell_estimates(run, console)
    tell_frontier(run.manifest["frontier"], console)
    tell_errors(run, console)
    console.out("\nreport ", escape_control(str(folder / REPORT), keep=""))
