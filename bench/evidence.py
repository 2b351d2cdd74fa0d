"""The evidence score: fitted on four corpora, measured on the fifth, and on data it never saw.

    python bench/evidence.py [--write]

Needs the shared data. Every parameter of a leave-one-corpus-out row was fitted on the other four corpora: the
weights, how far a word reaches into neighbouring sentences, and the position of the dial. The weighted sum
that was set by hand before is measured in the same run. With `--write` the constants of
`retrieval/ragwright/retrieval/evidence_model.py` become those fitted on all five corpora. The demo and
PolicyQA take no part in any fit. Which signs make the score was decided with all of this data in view.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from corpora import chroma, demo, indexed, policyqa, retriever
from evidence_fit import DIAL, Case, Dial, Fitting, Model, Table, resamples, signs_of
from numpy.typing import NDArray
from rows import DATA, ROOT, Bench, Row

from ragwright.core.config_stages import AnswerConfig
from ragwright.core.types import Document, Question
from ragwright.eval.overlap import Characters, overlap
from ragwright.retrieval.evidence import select_evidence
from ragwright.retrieval.evidence_score import Floats, read_signs
from ragwright.retrieval.search import HybridRetriever, SearchOptions

CONSTANTS = ROOT / "retrieval" / "ragwright" / "retrieval" / "evidence_model.py"
LIMITS = (10, 20)
REFUSED_BELOW = AnswerConfig().support
TARGETS = (0.6, 0.7, 0.75, 0.76, 0.8, 0.85, 0.87, 0.88, 0.9, 0.92)
BARS: Mapping[float, tuple[str, str]] = {0.76: (">= 0.75", ">= 0.19"), 0.88: (">= 0.88", ">= 0.08")}
FALSE_REFUSALS = (0.02, 0.034)  # the second is that of the threshold that was set by hand before


def find(documents: Sequence[Document], questions: Sequence[Question], limit: int) -> list[Case]:
    """What each question finds, in its own document where it names one."""
    with indexed(list(documents)) as (encoder, index, terms):
        search = retriever(encoder, index, terms, replace(SearchOptions(), limit=limit))
        return [ask(search, question) for question in questions]


def ask(search: HybridRetriever, question: Question, *, source: str | None = None) -> Case:
    """One question, in one document where it or the caller names it."""
    source = source or question.metadata.get("filters", {}).get("source")
    found = search.find(question.text, filters={"source": source} if source else {})
    group = question.references[0].document_id if question.references else ""
    return Case(question, group, found.chunks, found.query, {hit.id: hit.score for hit in found.ranked})


def cut(cases: Sequence[Case], limit: int) -> list[Case]:
    """The same questions with fewer chunks."""
    return [replace(case, chunks=case.chunks[:limit]) for case in cases]


def hand_set(cases: Sequence[Case], table: Table) -> Floats:
    """The weighted sum that was set by hand: cosine, words by rarity, the chunk's score; neighbours lift."""
    scores = []
    for case in cases:
        meaning = read_signs(case.chunks, case.query).meaning
        best = max(case.scores.values(), default=0.0) or 1.0
        found = [max(case.scores[c.chunk.id], 0.0) / best for c in case.chunks for _ in c.chunk.sentences]
        scores.append(0.45 * meaning + 0.35 * _own_words(case) + 0.2 * np.array(found))
    return table.lift(np.concatenate(scores), 0.2)


def _own_words(case: Case) -> Floats:
    """Share of the question's rarity in each sentence."""
    query = case.query
    rarities = {term: weight * query.rarities[term] for term, weight in query.weights.items()}
    total = sum(query.rarities[term] for term in query.own) or 1.0
    shares = []
    for chunk in case.chunks:
        for present in np.split(chunk.terms.ids, chunk.terms.ends[:-1])[1:]:
            held = set(present.tolist())
            shares.append(min(1.0, sum(rarities[term] for term in rarities if term in held) / total))
    return np.array(shares)


def held_out(fitting: Fitting, groups: NDArray[np.str_]) -> tuple[list[Model], Floats, list[Dial]]:
    """For each group the model fitted on the others, its scores on the group, and its dial on everything."""
    scores = np.zeros(len(fitting.table.question))
    models, dials = [], []
    for group in sorted(set(groups)):
        model = fitting.fit(groups != group)
        own = fitting.scores(model)
        inside = (groups == group)[fitting.table.question]
        scores[inside] = own[inside]
        models.append(model)
        dials.append(fitting.table.dial(own))
    return models, scores, dials


def operate(dials: Sequence[Dial], groups: NDArray[np.str_], target: float) -> tuple[Floats, Floats]:
    """Recall and IoU of every question where the dial stands as the other groups' recall wants it."""
    got = np.zeros((2, len(groups)))
    for group, dial in zip(sorted(set(groups)), dials, strict=True):
        position = dial.share_at(target, groups != group)
        inside = groups == group
        got[:, inside] = dial.recall[position, inside], dial.iou[position, inside]
    return got[0], got[1]


def bench_corpora(bench: Bench, cases: Sequence[Case], limit: int) -> Fitting:
    """Leave one corpus out."""
    fitting, name = Fitting(cases), f"five corpora, {limit} chunks"
    groups = np.array([case.group for case in cases])
    bench_limits(bench, fitting.table, name)
    models, scores, dials = held_out(fitting, groups)
    for group, model in zip(sorted(set(groups)), models, strict=True):
        shares = [float(DIAL[dial.share_at(0.75, groups != group)]) for dial in dials]
        print(f"without {group}: {model}; share for recall 0.75 {shares[models.index(model)]}")
    before = fitting.table.dial(hand_set(cases, fitting.table))
    for target in TARGETS:
        recalls, ious = operate(dials, groups, target)
        bars = BARS.get(target, ("", ""))
        note = f"dial set where the other corpora have recall {target}"
        bench.add_mean(
            f"{name}, left out: recall at target {target}", recalls.tolist(), bar=bars[0], note=note
        )
        bench.add_mean(f"{name}, left out: IoU at target {target}", ious.tolist(), bar=bars[1], note=note)
    after = fitting.table.dial(scores)
    compare(bench, after, before, f"{name}, left out", TARGETS)
    bench_ranking(bench, after, f"{name}, left out")
    highest = after.recall[0]
    bench.add_mean(
        f"{name}: highest recall on the dial", highest.tolist(), bar=">= 0.92" if limit == 20 else ""
    )
    return fitting


def bench_limits(bench: Bench, table: Table, name: str) -> None:
    """What no score can exceed: the chunks that were found, and where sentences end."""
    best = table.covered > 0
    recalls, ious = table.measure(best, bridge=False)
    bench.add_mean(f"{name}, limit: recall of every sentence that touches a reference", recalls.tolist())
    bench.add_mean(f"{name}, limit: IoU of every sentence that touches a reference", ious.tolist())


def bench_ranking(bench: Bench, dial: Dial, name: str) -> None:
    """What one position of the dial for all questions costs: the best position for each is chosen here."""
    best = (dial.iou + dial.recall).argmax(axis=0)
    for measure, values in (("recall", dial.recall), ("IoU", dial.iou)):
        chosen = values[best, np.arange(values.shape[1])]
        bench.add_mean(
            f"{name}, limit: {measure} with the dial set for each question by its references", chosen.tolist()
        )


def compare(bench: Bench, new: Dial, old: Dial, name: str, targets: Sequence[float]) -> None:
    """Paired difference of the IoU that both dials have at the same recall."""
    counts = resamples(new.iou.shape[1])
    for target in targets:
        if target > min(new.recall[0].mean(), old.recall[0].mean()):
            continue
        both = [dial.iou_at(target, counts) for dial in (new, old)]
        difference = both[0] - both[1]
        low, high = np.quantile(difference[1:], [0.025, 0.975])
        note = f"IoU {both[0][0]:.4f} against {both[1][0]:.4f}"
        what = f"{name}: IoU gained over the sum set by hand, at recall {target}"
        bench.rows.append(Row(what, difference[0], "", low, high, new.iou.shape[1], note=note))
        print(f"{what}: {difference[0]:.4f} [{low:.4f} .. {high:.4f}], {note}", flush=True)


def bench_outside(
    bench: Bench, name: str, cases: Sequence[Case], model: Model, targets: Sequence[float]
) -> None:
    """Data that no parameter was fitted on."""
    table = Table(cases)
    ranked = signs_of(cases, model.before, model.after) @ np.array(model.weights)
    new = table.dial(np.asarray(1.0 - (table.most(ranked) - ranked)))
    position = int(np.flatnonzero(np.isclose(DIAL, SearchOptions().evidence))[0])
    bench.add_mean(f"{name}: recall at the default share", new.recall[position].tolist())
    bench.add_mean(f"{name}: IoU at the default share", new.iou[position].tolist())
    refused = [float(_support(case) < REFUSED_BELOW) for case in cases]
    bench.add_mean(f"{name}: answerable questions refused at support {REFUSED_BELOW}", refused)
    compare(bench, new, table.dial(hand_set(cases, table)), name, targets)


def check(cases: Sequence[Case], fitting: Fitting, model: Model) -> None:
    """The table says what the product's own choice of evidence says.

    Raises:
        SystemExit: It does not.
    """
    scores, shares = fitting.scores(model), (0.0, 0.7, 0.9)
    for share in shares:
        recalls, ious = fitting.table.measure(scores >= share - 1e-9)
        for number in range(0, len(cases), 7):
            case, own = cases[number], scores[fitting.table.question == number]
            ends = np.cumsum([len(chunk.chunk.sentences) for chunk in case.chunks])
            parts = np.split(own.astype(np.float64), ends[:-1])
            chosen = select_evidence(case.chunks, parts, share=share - 1e-9, budget=None, count_tokens=len)
            spans = [each.span for evidence in chosen for each in evidence]
            found = overlap(case.question.references, spans, Characters())
            seen = (found.recall, found.iou)
            if not np.allclose(seen, (recalls[number], ious[number])):
                raise SystemExit(f"question {case.question.id} at share {share}: {seen} is not the table's")


def bench_refusal(bench: Bench, search: HybridRetriever, cases: Sequence[Case]) -> None:
    """A threshold from four corpora, on the questions of the fifth: asked to all, and to the other four."""
    groups = np.array([case.group for case in cases])
    others = [elsewhere(search, case, sorted(set(groups))) for case in cases]
    for name, support in (("", _support), (" by the sum set by hand before", _hand_support)):
        own = np.array([support(case) for case in cases])
        other = np.array([max(support(each) for each in asked) for asked in others])
        for share in FALSE_REFUSALS:
            threshold = float(np.quantile(own, share, method="lower"))
            bench.add_mean(
                f"refusal{name}: questions asked to the other four corpora refused where {share:.1%} of their"
                " own are",
                (other < threshold).astype(float).tolist(),
                note=f"threshold {threshold:.3f}, set on the same questions",
            )
        held = np.array([np.quantile(own[groups != g], FALSE_REFUSALS[-1], method="lower") for g in groups])
        bench.add_mean(
            f"refusal{name}, left out: answerable questions refused", (own < held).astype(float).tolist()
        )
        bench.add_mean(
            f"refusal{name}, left out: questions asked to the other four corpora refused",
            (other < held).astype(float).tolist(),
        )


def elsewhere(search: HybridRetriever, case: Case, groups: Sequence[str]) -> list[Case]:
    """A question asked to each of the corpora that do not answer it."""
    return [ask(search, case.question, source=group) for group in groups if group != case.group]


def _support(case: Case) -> float:
    return read_signs(case.chunks, case.query).support()


def _hand_support(case: Case) -> float:
    return float(hand_set([case], Table([case])).max(initial=0.0))


def write(model: Model) -> None:
    """Put a model's numbers into the product."""
    text = CONSTANTS.read_text(encoding="utf-8")
    weights = [round(weight, 3) for weight in model.weights[:2]]
    weights.append(round(1.0 - sum(weights), 3))
    names = ("MEANING", "WORDS", "CHUNK_WORDS", "BEFORE", "AFTER")
    for name, value in zip(names, (*weights, model.before, model.after), strict=True):
        text = re.sub(rf"^{name}: Final = .*$", f"{name}: Final = {value}", text, flags=re.MULTILINE)
    CONSTANTS.write_text(text, encoding="utf-8")


def main() -> None:
    """Run and write `bench/results/evidence.json`."""
    parser = argparse.ArgumentParser(description="measure and fit the evidence score")
    parser.add_argument("--write", action="store_true", help="write the fitted constants")
    wanted = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("evidence", "python bench/evidence.py")
    documents, questions = chroma()
    with indexed(documents) as (encoder, index, terms):
        search = retriever(encoder, index, terms, replace(SearchOptions(), limit=max(LIMITS)))
        cases = [ask(search, question) for question in questions]
        bench_refusal(bench, retriever(encoder, index, terms, SearchOptions()), cut(cases, min(LIMITS)))
    fittings = {limit: bench_corpora(bench, cut(cases, limit), limit) for limit in LIMITS}
    fitting = fittings[max(LIMITS)]
    model = fitting.fit(np.ones(len(cases), bool))
    print(f"all five: {model}")
    check(cases, fitting, model)
    everyone = np.ones(len(cases), bool)
    for limit in LIMITS:
        dial = fittings[limit].table.dial(fittings[limit].scores(model))
        print(f"{limit} chunks, shares:", {t: float(DIAL[dial.share_at(t, everyone)]) for t in TARGETS})
    documents, questions = demo()
    answerable = [question for question in questions if question.references]
    found = find(documents, answerable, max(LIMITS))
    for limit in LIMITS:
        bench_outside(
            bench, f"demo, {limit} chunks", cut(found, limit), model, (0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
        )
    found = find(*policyqa(), max(LIMITS))
    for limit in LIMITS:
        bench_outside(bench, f"PolicyQA, {limit} chunks", cut(found, limit), model, (0.3, 0.4, 0.5, 0.6, 0.7))
    bench.write()
    if wanted.write:
        write(model)


if __name__ == "__main__":
    main()
