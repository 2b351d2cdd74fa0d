"""A reader against the evidence score: trained on policies and on four corpora, measured on the fifth.

    python bench/reader.py --folder FOLDER [--set NAME=VALUE ...] [--write]

Needs the shared data. One reader learns from 12 privacy policies and is measured on 6 others; for each of the
five corpora of the token-IoU report one goes on learning from four fifths of the questions about the other
four. Its rules, and the position of the dial, are set on the last fifth, so that nothing that is measured was
seen. FOLDER keeps the readers: a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from corpora import chroma, policyqa
from evidence import held_out
from evidence_fit import DIAL, Case, Dial, Fitting, Table, resamples
from numpy.typing import NDArray
from policies import split
from reader_cases import CHUNKS, Lesson, lessons_of, merged, parted
from rows import DATA, Bench, Row

from ragwright.app.tuning.reader import observe, training_of
from ragwright.core.config import load_config
from ragwright.core.config_tuning import TuneConfig
from ragwright.core.profile import load_profile
from ragwright.core.protocols import Reading
from ragwright.core.reader_folder import EvidenceWeights, ReaderRules
from ragwright.finetune.card import describe, finish
from ragwright.finetune.reader import PURPOSE, longest_pair, train_reader
from ragwright.finetune.reader_model import ReaderStart, load_reader_learner
from ragwright.finetune.reader_rules import PLAIN_ANSWER, PLAIN_EVIDENCE, fit_rules, logistic
from ragwright.finetune.training import Progress
from ragwright.finetune.tuned_model import MODEL
from ragwright.ingest.sentences import SentenceSplitter
from ragwright.retrieval.evidence_score import Floats, read_signs
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.read_evidence import dial_scores, evidence_odds
from ragwright.retrieval.reader import TransformerReader, load_reader
from ragwright.retrieval.reader_model import open_reader_model

RECALLS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9)
RULES_SHARE = 0.2
BARS = {0.7: (">= 0.70", ">= 0.28")}
ALONE = ("sentence", "passage")
SIGNS = ("meaning", "words", "chunk_words")


@dataclass(frozen=True)
class Taught:
    """A reader and the lessons that were held back from it.

    Attributes:
        reader: Open.
        held: What its rules are fitted on.
    """

    reader: TransformerReader
    held: Sequence[Lesson]


def start_of(folder: Path | None) -> ReaderStart:
    """The default encoder, or a reader that goes on learning."""
    model = open_model(DEFAULT_MODEL) if folder is None else open_reader_model(str(folder)).model
    return ReaderStart(model.path, model.name, model.fingerprint, model.padding, model.positions)


def teach(
    folder: Path,
    lessons: Sequence[Lesson],
    held: Sequence[Lesson],
    *,
    base: Path | None,
    settings: TuneConfig,
) -> Path:
    """Train a reader where it was not done before; returns its folder."""
    if (folder / "tuned.json").is_file():
        return folder / MODEL
    learner, training = load_reader_learner(start_of(base)), training_of(settings)
    profile = load_profile("general")
    splitter = SentenceSplitter(profile.language, profile.abbreviations)
    examples = [each.example for each in lessons if each.example is not None]
    trained = train_reader(
        learner,
        examples,
        [each.example for each in held if each.example is not None],
        folder,
        training=training,
        sentences=lambda text: list(splitter.split(text, 0, len(text))),
        report=tell,
    )
    print(trained, flush=True)
    tuned = describe(
        folder.name,
        "reader",
        base=learner.start.name,
        base_fingerprint=learner.start.fingerprint,
        data=None,
        examples=examples,
        seed=settings.seed,
        settings=asdict(training),
        trained=trained,
    )
    rules = ReaderRules(longest_pair(learner), PLAIN_EVIDENCE, PLAIN_ANSWER)
    finish(folder, tuned, save=lambda into: learner.save(into, rules), purpose=PURPOSE)
    return folder / MODEL


def tell(progress: Progress) -> None:
    """One line of a training."""
    what = f"loss {progress.loss:.4f}" if progress.loss is not None else dict(progress.dev)
    print(f"step {progress.step}/{progress.steps} {progress.seconds:.0f} s: {what}", flush=True)


def rules_of(taught: Taught) -> ReaderRules:
    """What holds on the lessons that the reader did not learn from."""
    found = [each.found for each in taught.held if each.found is not None]
    return fit_rules(observe(taught.reader, found), max_tokens=taught.reader.rules.max_tokens)


def read(reader: TransformerReader, cases: Sequence[Case]) -> list[list[Reading]]:
    """What a reader makes of everything that questions found."""
    texts = [case.question.text for case in cases]
    return reader.read(texts, [[stored.chunk for stored in case.chunks] for case in cases])


def without(weights: EvidenceWeights, names: Sequence[str]) -> EvidenceWeights:
    """The same weights, some of them 0."""
    return replace(weights, **dict.fromkeys(names, 0.0))


def scores_of(
    cases: Sequence[Case], readings: Sequence[Sequence[Reading]], weights: EvidenceWeights
) -> Floats:
    """Scores of the sentences of all cases, as shares of the best."""
    found = []
    for case, each in zip(cases, readings, strict=True):
        odds = evidence_odds(read_signs(case.chunks, case.query), each, weights)
        lengths = [len(span) for stored in case.chunks for span in stored.chunk.sentences]
        found.append(dial_scores(odds, np.array(lengths, np.float64)))
    return np.concatenate(found)


def signs_alone(held: Sequence[Case]) -> EvidenceWeights:
    """Weights of meaning and words without any reader, fitted on the same questions."""
    table = Table(held)
    signs = np.concatenate([read_signs(case.chunks, case.query).relative() for case in held])
    lengths = np.array([len(s) for c in held for k in c.chunks for s in k.chunk.sentences], np.float64)
    fitted = logistic(signs, table.covered / np.maximum(lengths, 1.0))
    return EvidenceWeights(fitted[-1], 0.0, 0.0, *fitted[:-1])


@dataclass
class Scored:
    """Scores of every sentence by several rules, filled corpus by corpus."""

    read: Floats
    chosen: Floats
    alone: Floats


def bench_corpora(bench: Bench, folder: Path, policies: Path, settings: TuneConfig) -> None:
    """Leave one corpus out."""
    lessons = lessons_of(chroma())
    cases = [each.case for each in lessons]
    groups = np.array([case.group for case in cases])
    fitting = Fitting(cases)
    table = fitting.table
    found = Scored(*(np.zeros(len(table.question)) for _ in range(3)))
    positions: dict[str, list[float]] = {}
    for group in sorted(set(groups)):
        others = [each for each, own in zip(lessons, groups, strict=True) if own != group]
        learnt, held = parted(others, share=RULES_SHARE, seed=settings.seed)
        model = teach(folder / Path(group).stem, learnt, held, base=policies, settings=settings)
        with opened(model) as reader:
            inside = (groups == group)[table.question]
            own = [case for case, its in zip(cases, groups, strict=True) if its == group]
            positions[group] = _fill(found, inside, own, Taught(reader, held))
    _report(bench, found, fitting, groups, positions)


def _fill(found: Scored, inside: NDArray[np.bool_], own: Sequence[Case], taught: Taught) -> list[float]:
    """Score a corpus; returns where the dial gives the wanted recalls on what was held back."""
    weights = rules_of(taught).evidence
    print(weights, flush=True)
    readings = read(taught.reader, own)
    held = [each.case for each in taught.held]
    found.read[inside] = scores_of(own, readings, weights)
    found.alone[inside] = scores_of(own, readings, without(_alone(taught), SIGNS))
    found.chosen[inside] = scores_of(own, readings, signs_alone(held))
    dial = Table(held).dial(scores_of(held, read(taught.reader, held), weights))
    everyone = np.ones(len(held), bool)
    return [float(DIAL[dial.share_at(recall, everyone)]) for recall in RECALLS]


def _alone(taught: Taught) -> EvidenceWeights:
    """Weights of the reader's own log-odds without the retriever's signs."""
    observed = observe(taught.reader, [each.found for each in taught.held if each.found is not None])
    signs = np.concatenate([each.signs for each in observed])[:, :2]
    fitted = logistic(signs, np.concatenate([each.shares for each in observed]))
    return EvidenceWeights(fitted[-1], fitted[0], fitted[1])


def _report(
    bench: Bench,
    found: Scored,
    fitting: Fitting,
    groups: NDArray[np.str_],
    positions: dict[str, list[float]],
) -> None:
    name, table = f"five corpora, {CHUNKS} chunks, left out", fitting.table
    reader = table.dial(found.read)
    for number, target in enumerate(RECALLS):
        chosen = np.array([positions[group][number] for group in groups])
        place = np.searchsorted(DIAL, chosen - 1e-9)
        everyone = np.arange(len(groups))
        bars = BARS.get(target, ("", ""))
        note = f"dial set where questions about the other corpora have recall {target}"
        pairs = (("recall", reader.recall, bars[0]), ("IoU", reader.iou, bars[1]))
        for measure, values, bar in pairs:
            each = values[place, everyone].tolist()
            bench.add_mean(f"{name}: {measure} at target {target}", each, bar=bar, note=note)
    before = table.dial(held_out(fitting, groups)[1])
    chosen_by_signs = table.dial(found.chosen)
    compare(bench, reader, before, f"{name}, reader, against the evidence score")
    compare(bench, chosen_by_signs, before, f"{name}, its choice without a reader, likewise")
    compare(bench, reader, chosen_by_signs, f"{name}, reader, against its choice without a reader")
    compare(bench, table.dial(found.alone), before, f"{name}, reader without signs, likewise")


def compare(bench: Bench, new: Dial, old: Dial, name: str) -> None:
    """Paired difference of the IoU that both dials have at the same recall."""
    counts = resamples(new.iou.shape[1])
    for recall in RECALLS:
        if recall > min(new.recall[0].mean(), old.recall[0].mean()):
            continue
        both = [dial.iou_at(recall, counts) for dial in (new, old)]
        difference = both[0] - both[1]
        low, high = np.quantile(difference[1:], [0.025, 0.975])
        note = f"{both[1][0]:.4f} to {both[0][0]:.4f}"
        what = f"{name}: gain in IoU at recall {recall}"
        bench.rows.append(Row(what, difference[0], "", low, high, new.iou.shape[1], note=note))
        print(f"{what}: {difference[0]:+.4f} [{low:+.4f} .. {high:+.4f}], {note}", flush=True)


@contextmanager
def opened(model: Path) -> Iterator[TransformerReader]:
    """A reader, compiled for as long as it is needed."""
    with TemporaryDirectory() as cache:
        yield load_reader(str(model), Compute(cache=Path(cache)))


def bench_policies(bench: Bench, folder: Path, settings: TuneConfig) -> Path:
    """Train on policies and measure on others, each question asked within its policy; returns the model."""
    policies = split(policyqa(every=1))
    parts = [merged(part) for part in (policies.train, policies.dev, policies.report)]
    train, dev, report = (lessons_of((policies.documents, part)) for part in parts)
    model = teach(folder / "policies", train, dev, base=None, settings=settings)
    with opened(model) as reader:
        taught = Taught(reader, dev)
        weights, cases = rules_of(taught).evidence, [each.case for each in report]
        print(weights, flush=True)
        readings = read(reader, cases)
        table, held = Table(cases), [each.case for each in dev]
        dials = [
            table.dial(scores_of(cases, readings, each))
            for each in (weights, signs_alone(held), _alone(taught))
        ]
        fitting = Fitting(held)
        shipped = fitting.fit(np.ones(len(held), bool))
        signs = np.concatenate(
            [
                read_signs(c.chunks, c.query, before=shipped.before, after=shipped.after).relative()
                for c in cases
            ]
        )
        ranked = signs @ np.array(shipped.weights)
        before = table.dial(np.asarray(1.0 - (table.most(ranked) - ranked)))
        _compare_policies(bench, dials, before)
    return model


def _compare_policies(bench: Bench, dials: Sequence[Dial], before: Dial) -> None:
    names = ("reader", "its choice without a reader", "reader without signs")
    for name, dial in zip(names, dials, strict=True):
        compare(bench, dial, before, f"PolicyQA, 6 other policies, {name}, against the evidence score")


def main() -> None:
    """Train, measure, and write `bench/results/reader.json` where asked to."""
    parser = argparse.ArgumentParser(description="train readers and measure them")
    parser.add_argument("--folder", type=Path, required=True, help="where the readers are kept")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of [tune]")
    parser.add_argument("--write", action="store_true", help="write the rows")
    wanted = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    given = [f"tune.{each}" for each in wanted.set]
    settings = load_config(flags={}, file=None, environ={}, assignments=given).config.tune
    bench = Bench("reader", " ".join(["python bench/reader.py --folder FOLDER", *given]))
    began = time.perf_counter()
    model = bench_policies(bench, wanted.folder, settings)
    bench_corpora(bench, wanted.folder, model, settings)
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes", flush=True)
    if wanted.write:
        bench.write()


if __name__ == "__main__":
    main()
