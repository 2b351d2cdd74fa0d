"""`ragwright quantize`: an int8 model for this corpus, kept only when it finds as much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragwright.app.commands.eval_gate import NOT_PASSED
from ragwright.app.commands.eval_run import Format, Sample, Seed, load
from ragwright.app.console import Console, Styled, escape_control
from ragwright.app.session import Options, open_session
from ragwright.app.workspace import Workspace

if TYPE_CHECKING:
    from ragwright.app.int8_corpus import Corpus
    from ragwright.app.int8_verdict import Verdict
    from ragwright.core.config import Config


def quantize(
    options: Options,
    dataset: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATASET]",
            help="Questions to measure with; else sentences of the documents must find their chunks.",
            show_default=False,
        ),
    ] = None,
    *,
    format: Format = None,  # noqa: A002 - the option's name
    sample: Sample = None,
    samples: Annotated[
        int, typer.Option("--samples", min=8, metavar="COUNT", help="Chunks that ranges are learned from.")
    ] = 300,
    chunks: Annotated[
        int, typer.Option("--chunks", min=100, metavar="COUNT", help="Most chunks that are searched.")
    ] = 20_000,
    seed: Seed = 0,
) -> int:
    """Make an int8 model, and keep it if it finds as much.

    Both models are asked the same questions. The int8 model is kept when recall and nDCG at 10 lose at most
    half a point each; else it is deleted, and the exit code is 4. To use it: ragwright ingest --rebuild
    --set encoder.precision=int8. Needs the extra int8, and about a minute.
    """
    from ragwright.app.int8_corpus import Draw, gather

    session = open_session(options)
    loaded = load(dataset, format=format, sample=sample, seed=seed) if dataset else None
    # The float model is what int8 is held to, and no int8 model need be there yet.
    encoder = session.config.encoder.model_copy(update={"precision": "auto"})
    workspace = Workspace(session.config.model_copy(update={"encoder": encoder}))
    try:
        corpus = gather(workspace, loaded, Draw(chunks, samples, seed))
        session.console.note(f"{len(corpus.chunks):,} chunks, {len(corpus.questions):,} questions")
        verdict = _quantised(workspace, corpus, seed=seed, console=session.console)
    finally:
        workspace.close()
    if options.json:
        session.console.emit_json(verdict)
    _tell(verdict, session.console, session.config)
    return 0 if verdict.accepted else NOT_PASSED


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


def _tell(verdict: Verdict, console: Console, config: Config) -> None:
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
    if not verdict.accepted:
        console.out(
            Styled("refused: a measure loses more than half a point; the int8 model is deleted", "red")
        )
        return
    console.out(Styled("accepted", "green"), f" as {verdict.fingerprint}")
    if config.encoder.precision != "int8":
        console.out("to use it, set encoder.precision=int8 and run: ragwright ingest --rebuild")
