"""Retrieval, evidence and answers on public collections, measured as `ragwright eval run` does.

    python bench/retrieval.py

Needs the shared data. Each collection is put into a temporary workspace once and asked in every mode: BM25
alone, dense alone, both joined by rank and by score. Cranfield judges documents; the five corpora of the
token-IoU report, PolicyQA and the demo label spans. On the five corpora the evidence score was fitted and the
refusal threshold was set: `bench/evidence.py` measures each of them with what was fitted on the others. No
parameter was fitted on Cranfield, PolicyQA or the demo; all three were looked at while choosing what to fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rows import DATA, ROOT, Bench

from ragwright.app.asking import ask
from ragwright.app.console import Console
from ragwright.app.evaluated import Material, Place, evaluated_workspace
from ragwright.app.evaluation import Prepared, Request, prepare
from ragwright.core.config import load_config
from ragwright.eval.datasets import load_dataset
from ragwright.eval.score import Scoring, dial_rows, score
from ragwright.eval.statistics import by_measure, holm, randomisation_test
from ragwright.eval.values import Dataset, Outcome, Row
from ragwright.retrieval.search import SearchOptions

DEFAULT = SearchOptions()
MODES: Mapping[str, SearchOptions] = {
    "hybrid, weighted": replace(DEFAULT, fusion="weighted"),
    "hybrid, RRF": replace(DEFAULT, fusion="rrf"),
    "dense alone": replace(DEFAULT, mode="dense"),
    "BM25 alone": replace(DEFAULT, mode="lexical"),
}
BASE = "hybrid, weighted"
RANKED = ("nDCG@10", "RR@10", "R@10")
SPANS = ("recall", "iou", "chunk_recall", *RANKED)
ANSWERS = ("citation_precision", "citation_recall", "refused_answerable", "answered_unanswerable")
SHARES = (0.55, 0.65, 0.7, DEFAULT.evidence, 0.83, 0.9, 1.0)
BARS = {("Cranfield", "nDCG@10", BASE): ">= 0.43"}


def bench_collection(
    bench: Bench, name: str, dataset: Dataset, measures: Sequence[str], *, documents: Path | None = None
) -> None:
    """Every mode, then the dial and the answers of the default one."""
    with TemporaryDirectory() as folder:
        config = load_config(flags={"workspace": Path(folder) / ".ragwright"}, file=None, environ={}).config
        material = Material.of(dataset, folder=documents)
        with evaluated_workspace(config, material, console=Console(quiet=True)) as place:
            bench_modes(bench, name, place, dataset, measures)


def bench_modes(bench: Bench, name: str, place: Place, dataset: Dataset, measures: Sequence[str]) -> None:
    """Rows of every mode; each but the first says whether it differs from the first."""
    prepared = prepare(place.workspace, dataset, Request())
    base: dict[str, dict[str, float]] = {}
    for mode, options in MODES.items():
        dial = SHARES if mode == BASE and "iou" in measures else ()
        outcomes = asked(prepared, options, dial=dial)
        rows = score(outcomes, prepared.scoring)
        values = by_measure(rows)
        notes = differences(values, base, measures) if base else {}
        for measure in measures:
            bar = BARS.get((name, measure, mode), "")
            note = notes.get(measure, "")
            bench.add_mean(f"{name}, {mode}: {measure}", listed(values, measure), bar=bar, note=note)
        if mode == BASE:
            base = values
            bench_answers(bench, name, values)
            bench_dial(bench, name, outcomes, prepared.scoring)


def asked(prepared: Prepared, options: SearchOptions, *, dial: Sequence[float]) -> list[Outcome]:
    """Outcomes of one mode."""
    return ask(replace(prepared.system, options=options), prepared.questions, dial=dial)


def bench_answers(bench: Bench, name: str, values: Mapping[str, Mapping[str, float]]) -> None:
    """What the extractive answers cite, and both sides of refusal."""
    for measure in ANSWERS:
        if measure in values and "Cranfield" not in name:
            bench.add_mean(f"{name}, answers: {measure}", listed(values, measure))


def bench_dial(bench: Bench, name: str, outcomes: Sequence[Outcome], scoring: Scoring) -> None:
    """Recall and IoU of the evidence along the dial."""
    for share in sorted({share for outcome in outcomes for share in outcome.dial}):
        rows: list[Row] = dial_rows(outcomes, share, scoring.units)
        default = " (default)" if share == DEFAULT.evidence else ""
        for measure in ("recall", "iou"):
            what = f"{name}, evidence at share {share}{default}: {measure}"
            bench.add_mean(what, listed(by_measure(rows), measure))


def differences(
    values: Mapping[str, Mapping[str, float]],
    base: Mapping[str, Mapping[str, float]],
    measures: Sequence[str],
) -> dict[str, str]:
    """For each measure its difference to the first mode, with the p value corrected over the measures."""
    pairs = {name: (listed(values, name), listed(base, name)) for name in measures}
    corrected = holm([randomisation_test(mine, theirs) for mine, theirs in pairs.values()])
    told = {}
    for (name, (mine, theirs)), p in zip(pairs.items(), corrected, strict=True):
        difference = sum(mine) / len(mine) - sum(theirs) / len(theirs)
        told[name] = f"{difference:+.3f} to {BASE}, p {p:.4f}"
    return told


def listed(values: Mapping[str, Mapping[str, float]], measure: str) -> list[float]:
    """One measure's values, ordered by question."""
    return [value for _, value in sorted(values[measure].items())]


def main() -> None:
    """Run and write `bench/results/retrieval.json`."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("retrieval", "python bench/retrieval.py")
    bench_collection(bench, "Cranfield", load_dataset(DATA / "cranfield"), RANKED)
    bench_collection(bench, "five corpora", load_dataset(DATA / "chroma"), SPANS)
    bench_collection(bench, "PolicyQA", load_dataset(DATA / "policyqa" / "dev.json"), SPANS)
    demo = ROOT / "demo"
    bench_collection(
        bench, "demo", load_dataset(demo / "questions.jsonl"), SPANS, documents=demo / "documents"
    )
    bench.write()


if __name__ == "__main__":
    main()
