"""`ragwright quantize`: an int8 model for this corpus, kept only when it finds as much."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragwright.app.commands.eval_gate import NOT_PASSED
from ragwright.app.commands.eval_run import Format, Sample, Seed, load
from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.session import Options, Session, open_session
from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError, ModelError

if TYPE_CHECKING:
    from ragwright.app.int8_corpus import Corpus
    from ragwright.app.int8_verdict import Verdict

_ENOUGH = 200  # questions, below which half a point is lost among their differences
_REBUILD = "ragwright ingest --rebuild"
_SETTING = 'precision = "int8" under [encoder] in ragwright.toml'

_Questions = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DATASET]",
        help="Questions to measure with; else sentences of the documents must find their chunks.",
        show_default=False,
    ),
]
_Samples = Annotated[
    int, typer.Option("--samples", min=8, metavar="COUNT", help="Chunks that ranges are learned from.")
]
_Chunks = Annotated[
    int, typer.Option("--chunks", min=100, metavar="COUNT", help="Most chunks that are searched.")
]
_Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Make another one, which takes the place of the accepted one if it is accepted."
    ),
]


def quantize(
    options: Options,
    dataset: _Questions = None,
    *,
    format: Format = None,  # noqa: A002 - the option's name
    sample: Sample = None,
    samples: _Samples = 300,
    chunks: _Chunks = 20_000,
    seed: Seed = 0,
    again: _Again = False,
) -> int:
    """Make an int8 model, and keep it if it finds as much.

    Both models are asked the same questions. The int8 model is kept when recall and nDCG at 10 lose at most
    half a point each; else it is deleted, one that was accepted before stays, and the exit code is 4. The
    mean decides; the interval shows how sure that is, and fewer than some 200 questions cannot tell half a
    point reliably. To use the model, put precision = "int8" under [encoder] in ragwright.toml, then run:
    ragwright ingest --rebuild. Needs the extra int8, and about a minute.
    """
    from ragwright.app.int8_corpus import Draw, gather

    _check_given(dataset, format=format, sample=sample)
    session = open_session(options)
    workspace = _float_workspace(session)
    try:
        former = _former(workspace, again=again)
        if former:
            session.console.note(f"{_named(former)} stays until another one is accepted")
        loaded = load(dataset, format=format, sample=sample, seed=seed) if dataset else None
        corpus = gather(workspace, loaded, Draw(chunks, samples, seed))
        session.console.note(f"{len(corpus.chunks):,} chunks, {len(corpus.questions):,} questions")
        verdict = _quantised(workspace, corpus, seed=seed, console=session.console)
    finally:
        workspace.close()
    if options.json:
        session.console.emit_json(verdict)
    _tell(verdict, session.console)
    _tell_next(verdict, former, session.console, configured=session.config.encoder.precision == "int8")
    return 0 if verdict.accepted else NOT_PASSED


def _float_workspace(session: Session) -> Workspace:
    """The workspace under the float model, which int8 is held to; no int8 model need be there yet."""
    encoder = session.config.encoder.model_copy(update={"precision": "auto"})
    return Workspace(session.config.model_copy(update={"encoder": encoder}))


def _check_given(dataset: Path | None, *, format: str | None, sample: int | None) -> None:  # noqa: A002
    """Refuse options that would do nothing, or leave too few questions.

    Raises:
        typer.BadParameter: With the option's name.
    """
    from ragwright.app.int8_corpus import LEAST_QUESTIONS

    for option, value in (("--sample", sample), ("--format", format)):
        if dataset is None and value is not None:
            raise typer.BadParameter("it belongs to a DATASET, and none is named", param_hint=option)
    if sample is not None and sample < LEAST_QUESTIONS:
        raise typer.BadParameter(
            f"{sample} questions, wanted at least {LEAST_QUESTIONS} to tell half a point",
            param_hint="--sample",
        )


def _former(workspace: Workspace, *, again: bool) -> Mapping[str, Any] | None:
    """The verdict of the model that is in force; None where there is none, or its files are damaged.

    Raises:
        InputError: There is one, and it is not to be replaced.
        MissingExtra: nncf is not installed.
        ModelError: A card or torch computes.
    """
    from ragwright.retrieval.quantise import check_quantise
    from ragwright.retrieval.quantised import accepted_model, read_verdict

    compute = workspace.compute
    check_quantise(compute)
    model = workspace.encoder.model
    try:
        accepted = accepted_model(model, compute.cache)
        verdict = read_verdict(model, compute.cache)
    except ModelError:
        return None
    if verdict is not None and not again:
        raise InputError(
            f"{model.name} has an int8 model already, {accepted.fingerprint}, accepted {_since(verdict)}; "
            f"to use it, put {_SETTING} and run: {_REBUILD}; or give --again to make another, which "
            "replaces it once it is accepted: every index made with it, in any workspace that shares "
            f"{compute.cache}, then needs {_REBUILD}"
        )
    return verdict


def _named(verdict: Mapping[str, Any]) -> str:
    return f"the int8 model accepted {_since(verdict)}"


def _since(verdict: Mapping[str, Any]) -> str:
    return f"on {verdict.get('created', 'a day that was not written down')}"


def _quantised(workspace: Workspace, corpus: Corpus, *, seed: int, console: Console) -> Verdict:
    """Make an int8 model, judge it, and keep or delete it."""
    from ragwright.app.console import plain
    from ragwright.app.int8_verdict import judge
    from ragwright.retrieval.encoder import quantised_encoder
    from ragwright.retrieval.quantise import quantised_draft
    from ragwright.retrieval.quantised import accept

    usual, compute = workspace.encoder, workspace.compute
    model = usual.model
    learned = [corpus.chunks[place] for place in corpus.samples]
    texts = [model.passage_prompt + chunk.context + chunk.text for chunk in learned]
    console.note(f"learning ranges from {len(texts):,} chunks")
    with quantised_draft(model, compute, texts) as draft:
        console.note("measuring")
        verdict = judge(corpus, usual, quantised_encoder(model, compute, draft), model=model.name, seed=seed)
        if verdict.accepted:
            accept(draft, plain(verdict), model=model, cache=compute.cache)
    return verdict


def _tell(verdict: Verdict, console: Console) -> None:
    """What was measured, and how sure it is."""
    rows = [
        (
            each.measure,
            f"{each.usual:.4f}",
            f"{each.int8:.4f}",
            f"{each.loss:+.4f}",
            f"{each.low:+.4f} to {each.high:+.4f}",
        )
        for each in verdict.losses
    ]
    console.table(["measure", "float", "int8", "loss", "95 % interval"], rows)
    console.out(
        f"{verdict.questions:,} questions of ", escape_control(verdict.dataset, keep=""),
        f"; {verdict.agreement:.1%} of the ten nearest chunks agree; cosine {verdict.cosine:.4f}",
    )  # fmt: skip
    doubts = verdict.doubts()
    for measure, end in doubts:
        console.out(Styled("not certain", "yellow"), f": the interval of {measure} reaches {end:+.4f}")
    if doubts and verdict.questions < _ENOUGH:
        console.out(f"fewer than some {_ENOUGH} questions cannot tell half a point reliably")


def _tell_next(
    verdict: Verdict, former: Mapping[str, Any] | None, console: Console, *, configured: bool
) -> None:
    """What is in force now, and what to do."""
    if not verdict.accepted:
        stays = f"{_named(former)} is untouched and" if former else "the float model"
        console.out(
            Styled("refused: a measure loses more than half a point; the new int8 model is deleted", "red")
        )
        console.out(f"{stays} stays; more documents, more --samples or questions of your own may help")
        return
    console.out(Styled("accepted", "green"), f" as {verdict.fingerprint}")
    if former:
        console.out(f"it replaces the one accepted {_since(former)}; every index made with that: {_REBUILD}")
    console.out("to use it, ", "" if configured else f"put {_SETTING}, then ", f"run: {_REBUILD}")
