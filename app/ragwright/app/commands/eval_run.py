"""`ragwright eval run`: measure retrieval, evidence and answers on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.console import escape_control
from ragwright.app.eval_output import tell_estimates, tell_frontier, tell_missing
from ragwright.app.progress import Counter
from ragwright.app.run_folders import find_run, new_run
from ragwright.app.session import Options, Session, open_session
from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.evaluated import Material
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

_Answers = Annotated[bool, typer.Option("--answers/--no-answers", help="Whether questions are answered too.")]
_Tokens = Annotated[
    bool, typer.Option("--tokens", help="Count overlap in tokens of the encoder, not in characters.")
]
_Published = Annotated[
    int,
    typer.Option(
        "--published",
        min=0,
        metavar="CHUNKS",
        help="Also compute measures as the published code does, over so many chunks.",
    ),
]
_Perturbed = Annotated[
    list[str] | None,
    typer.Option(
        "--perturb",
        metavar="NAME",
        help="Ask again: lower, upper, typos, reordered, abbreviations, keywords, irrelevant, "
        "contradicting, or all; repeatable.",
    ),
]
_Judged = Annotated[
    bool, typer.Option("--judge", help="Let the configured language model judge the answers.")
]
_Baseline = Annotated[
    str | None, typer.Option("--baseline", metavar="RUN", help="A run to compare with in the report.")
]
_Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="What to call the run; else named by time.")
]
_Everything = Annotated[bool, typer.Option("--all", help="Show every measure and position of the dial.")]


def eval_run(
    options: Options,
    dataset: DatasetPath,
    *,
    format: Format = None,  # noqa: A002 - the option's name
    documents: Documents = None,
    present: Present = False,
    sample: Sample = None,
    answers: _Answers = True,
    tokens: _Tokens = False,
    published: _Published = 0,
    perturb: _Perturbed = None,
    judge: _Judged = False,
    baseline: _Baseline = None,
    name: _Name = None,
    seed: Seed = 0,
    everything: _Everything = False,
) -> int:
    """Measure retrieval, evidence and answers on a data set.

    A data set that brings documents is asked in a temporary workspace built from them, any other in the
    present workspace. The run keeps its report, its values by question, and what is needed to repeat it.
    """
    from ragwright.app.evaluated import Material
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
    loaded = load(dataset, format=format, sample=sample, seed=seed)
    material = Material.of(loaded, folder=documents, present=present)
    run, folder = _run(session, material, request, name=name, baseline=_baseline(session, baseline, loaded))
    return _tell(run, folder, session, everything=everything)


def load(path: Path, *, format: str | None, sample: int | None = None, seed: int = 0) -> Dataset:  # noqa: A002
    """A data set, or a part of it drawn by the seed."""
    from ragwright.eval.datasets import load_dataset
    from ragwright.eval.sampling import drawn

    dataset = load_dataset(path, format=format)
    return dataset if sample is None else drawn(dataset, sample, seed=seed)


def _baseline(session: Session, name: str | None, dataset: Dataset) -> Run | None:
    """A run to compare with, looked at before anything is asked; None where none is named.

    Raises:
        InputError: It was made on other questions.
    """
    from ragwright.eval.runs import read_run

    if name is None:
        return None
    earlier = read_run(find_run(session.config, name))
    if earlier.manifest["dataset"]["digest"] != dataset.digest:
        raise InputError(
            f"the run {name} was made on other questions than {dataset.name} (a sample is another set); "
            "name a run on the same ones, or leave --baseline out"
        )
    return earlier


def _run(
    session: Session, material: Material, request: Request, *, name: str | None, baseline: Run | None
) -> tuple[Run, Path]:
    """The run, and its folder, where all of it is written."""
    from ragwright.app.evaluated import evaluated_workspace
    from ragwright.app.evaluation import evaluate

    console, dataset = session.console, material.dataset
    with new_run(session.config, dataset=dataset.name, name=name) as folder:
        with (
            evaluated_workspace(session.config, material, console=console) as place,
            Counter(console, "questions", len(dataset.items)) as counter,
        ):
            done = evaluate(place, dataset, request, name=folder.name, done=counter.advance)
        _write(done, folder, baseline)
    return done.run, folder


def _write(done: Evaluation, folder: Path, baseline: Run | None) -> None:
    from ragwright.eval.exports import write_exports
    from ragwright.eval.report import write_report
    from ragwright.eval.runs import REPORT, write_run

    write_run(done.run, folder)
    write_exports(done.run, folder, done.scoring, tag=folder.name)
    write_report(done.run, folder / REPORT, baseline=baseline)


def _tell(run: Run, folder: Path, session: Session, *, everything: bool) -> int:
    """Tell what was measured; the exit code is 1 where a question could not be asked."""
    from ragwright.eval.runs import REPORT
    from ragwright.eval.statistics import estimates

    console = session.console
    if console.json:
        facts = {"run": folder, "report": folder / REPORT, **run.manifest}
        console.emit_json({**facts, "measures": estimates(run.rows)})
    tell_estimates(run, console, everything=everything)
    tell_frontier(run, console, everything=everything)
    tell_missing(run, console)
    console.out("\nreport ", escape_control(str(folder / REPORT), keep=""))
    return 1 if any(outcome.error for outcome in run.outcomes) else 0
