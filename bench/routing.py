"""Routing to three experts over one index, against the encoder alone and one adapter for everything.

    python bench/routing.py [--write]

Needs the shared data. The index holds the 20 policies of PolicyQA and two of the five corpora: finance and
wikitexts. Experts are query adapters. That of the policies is trained on 12 policies, chosen by 2, and
reported on 6. The others have few questions: their documents are cut into 20 stretches, dealt out to five
folds; each fold is reported once, by experts that were trained on three others and chosen by one. The one
adapter for everything learns from all of these together. An expert is known to the router by its training
questions alone.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
from corpora import chroma
from moved import MEASURES, Library, Values, add, examples_of, library, trained
from policies import split
from rows import DATA, Bench

from ragwright.core.query_adapter import QueryAdapter, write_query_adapter
from ragwright.core.routing_table import BASE, RoutingTable, write_routing_table
from ragwright.core.types import Question
from ragwright.eval.statistics import estimate, randomisation_test
from ragwright.eval.values import Outcome
from ragwright.finetune.query_adapter import AdapterSettings
from ragwright.finetune.routing import make_expert
from ragwright.finetune.values import Example
from ragwright.retrieval.adapted_queries import AdaptedQueries
from ragwright.retrieval.model import DEFAULT_MODEL
from ragwright.retrieval.query_adapter import LinearAdaptation
from ragwright.retrieval.routing import open_router
from ragwright.retrieval.search import SearchOptions

CORPORA = ("finance", "wikitexts")
POLICIES = "policies"
FOLDS, STRETCHES, CENTROIDS = 5, 20, 8
EVERY = 2  # of the policies' reported questions
WAYS = ("base", "routed", "own expert", "one adapter for everything")


@dataclass(frozen=True)
class Domain:
    """The questions of one domain in one fold."""

    train: list[Question]
    dev: list[Question]
    report: list[Question]


@dataclass
class Collected:
    """What the questions of a domain got: by way, measure and question; and who was chosen."""

    values: dict[str, dict[str, dict[str, float]]] = field(
        default_factory=lambda: {way: {measure: {} for measure in MEASURES} for way in WAYS}
    )
    chosen: Counter[str] = field(default_factory=Counter)

    def take(self, way: str, found: Values) -> None:
        """Add the values of some questions."""
        for measure in MEASURES:
            self.values[way][measure].update(found[measure])


def folds(questions: Sequence[Question]) -> dict[str, int]:
    """The fold of every question, by the stretch of its document that its first reference stands in."""
    end = max(span.end for each in questions for span in each.references)
    order = [number % FOLDS for number in range(STRETCHES)]
    Random(0).shuffle(order)
    return {each.id: order[STRETCHES * each.references[0].start // (end + 1)] for each in questions}


def domains_of(fold: int, by_corpus: Mapping[str, Sequence[Question]]) -> dict[str, Domain]:
    """The domains in a fold; what is reported of the policies belongs to the first."""
    policies = split()
    found = {POLICIES: Domain(policies.train, policies.dev, [] if fold else policies.report[::EVERY])}
    for name, questions in by_corpus.items():
        number = folds(questions)
        parts: list[list[Question]] = [[], [], []]
        for each in questions:
            distance = (number[each.id] - fold) % FOLDS
            parts[2 if distance == 0 else 1 if distance == 1 else 0].append(each)
        found[name] = Domain(*parts)
    return found


def tuned(place: Library, examples: Sequence[Example], dev: Sequence[Question]) -> QueryAdapter:
    """An adapter; one that changes nothing where none is better than none."""
    done = trained(place, examples, dev, AdapterSettings())
    dimension = place.encoder.dimension
    zeros = np.zeros((dimension, dimension), np.float32)
    still = QueryAdapter(DEFAULT_MODEL, place.encoder.fingerprint, zeros, zeros[0])
    strength = (
        f"strength {done.strength}, dev {[round(v, 4) for v in (*done.start.values(), *done.dev.values())]}"
    )
    print(f"  {len(examples)} examples, {len(dev)} dev questions: {strength}", flush=True)
    return done.adapter or still


def router(
    place: Library, folder: Path, adapters: Mapping[str, QueryAdapter], domains: Mapping[str, Domain]
) -> AdaptedQueries:
    """A router over adapters, known by the questions that they were trained with."""
    table = RoutingTable(DEFAULT_MODEL, place.encoder.fingerprint)
    for name, adapter in adapters.items():
        write_query_adapter(folder / name, adapter)
        texts = list(dict.fromkeys(each.text for each in domains[name].train))
        pilots = place.encoder.encode_queries(texts)
        expert = make_expert(name, kind="adapter", folder=name, pilots=pilots, centroids=CENTROIDS, seed=0)
        table = table.with_expert(expert)
    write_routing_table(folder / "router.json", table)
    return open_router(folder / "router.json", place.encoder, open_encoder=_no_encoder)


def _no_encoder(folder: Path) -> AdaptedQueries:
    raise AssertionError(f"{folder} is no encoder")


def chosen(outcome: Outcome) -> str:
    """The expert that a question was routed to."""
    scores = outcome.found[0].scores if outcome.found else {}
    return next((key.removeprefix("expert_") for key in scores if key.startswith("expert_")), BASE)


def run_fold(
    place: Library,
    domains: Mapping[str, Domain],
    policies: tuple[list[Example], QueryAdapter],
    into: Mapping[str, Collected],
) -> None:
    """Train what the fold needs, and ask its questions in every way."""
    examples = {name: examples_of(place, each.train) for name, each in domains.items() if name != POLICIES}
    adapters = {name: tuned(place, own, domains[name].dev) for name, own in examples.items()}
    adapters[POLICIES] = policies[1]
    together = [each for own in (policies[0], *examples.values()) for each in own]
    everything = tuned(place, together, [each for domain in domains.values() for each in domain.dev])
    one = AdaptedQueries(place.encoder, LinearAdaptation(everything))
    with TemporaryDirectory() as folder:
        routed = router(place, Path(folder), adapters, domains)
        for name, domain in domains.items():
            if not domain.report:
                continue
            own = SearchOptions(expert=name)
            by_router = place.asked(domain.report, routed)
            into[name].chosen.update(map(chosen, by_router))
            into[name].take("base", place.measured(place.asked(domain.report)))
            into[name].take("routed", place.measured(by_router))
            into[name].take("own expert", place.measured(place.asked(domain.report, routed, options=own)))
            into[name].take("one adapter for everything", place.measured(place.asked(domain.report, one)))


def tell(bench: Bench, name: str, found: Collected) -> None:
    """The rows of a domain, or of all together."""
    base = found.values["base"]
    for measure in MEASURES:
        keys = list(base[measure])
        bench.add_mean(f"{name}: {measure} of the encoder alone", [base[measure][key] for key in keys])
        pairs = [(way, "base", "the encoder alone") for way in WAYS[1:]]
        for way, other, told in [*pairs, ("routed", WAYS[3], WAYS[3])]:
            mine, theirs = ([found.values[each][measure][key] for key in keys] for each in (way, other))
            gain = estimate([a - b for a, b in zip(mine, theirs, strict=True)])
            note = f"{np.mean(theirs):.4f} to {np.mean(mine):.4f}, p {randomisation_test(mine, theirs):.4f}"
            add(
                bench,
                f"{name}: {way} against {told}, {measure}",
                (gain.mean, gain.low, gain.high),
                gain.n,
                note=note,
            )
    total = found.chosen.total()
    for expert, count in sorted(found.chosen.items()):
        bench.add(f"{name}: share of {total} questions routed to {expert}", count / total, "")


def main() -> None:
    """Run, and write `bench/results/routing.json` where asked to."""
    parser = argparse.ArgumentParser(description="route queries to three experts and measure it")
    parser.add_argument("--write", action="store_true", help="write the rows")
    wanted = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    documents, asked = chroma()
    kept = [each for each in documents if Path(each.source).stem in CORPORA]
    by_corpus = {
        name: [each for each in asked if Path(each.references[0].document_id).stem == name]
        for name in CORPORA
    }
    bench = Bench("routing", "python bench/routing.py")
    found = {name: Collected() for name in (POLICIES, *CORPORA)}
    with library([*split().documents, *kept]) as place:
        policies = examples_of(place, split().train)
        first = (policies, tuned(place, policies, split().dev))
        for fold in range(FOLDS):
            print(f"fold {fold}", flush=True)
            run_fold(place, domains_of(fold, by_corpus), first, found)
    every = Collected()
    for name, each in found.items():
        tell(bench, name, each)
        every.chosen.update(each.chosen)
        for way in WAYS:
            every.take(way, each.values[way])
    tell(bench, "all three", every)
    if wanted.write:
        bench.write()


if __name__ == "__main__":
    main()
