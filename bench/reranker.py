"""What orders hits anew: a cross-encoder and a reader, tuned on policies, against hybrid search alone.

    python bench/reranker.py --folder FOLDER [--reader MODEL] [--set NAME=VALUE ...] [--write]

Needs the shared data. Trained on 12 privacy policies and chosen by 2, reported on 6: every question is asked
of the whole collection of 20, and the best 20 texts are ordered anew. The five corpora of the token-IoU
report are the other domain, each question asked within its own. FOLDER keeps the cross-encoder; MODEL is a
reader's folder, such as bench/reader.py leaves.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from corpora import Collection, chroma, indexed
from embedder import Values, compare, mined, ndcg, tell
from policies import answering, corpus_of, split
from reader import start_of
from rows import DATA, Bench

from ragwright.app.tuning.reader import training_of
from ragwright.core.config import load_config
from ragwright.core.config_tuning import TuneConfig
from ragwright.core.profile import load_profile
from ragwright.core.protocols import Reader, Reranker
from ragwright.core.types import OWNER, Hit, Question
from ragwright.finetune.card import describe, finish
from ragwright.finetune.reranker import PURPOSE, load_reranker, save_reranker, train_reranker
from ragwright.finetune.tuned_model import MODEL
from ragwright.retrieval.cross_encoder import load_cross_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.reader import load_reader
from ragwright.retrieval.search import HybridRetriever, Reranking, SearchOptions

CANDIDATES = 20
_ASKED = 32  # questions at once


def teach(folder: Path, settings: TuneConfig) -> Path:
    """Train a cross-encoder where it was not done before; returns its folder."""
    if (folder / "tuned.json").is_file():
        return folder / MODEL
    examples, dev, _ = mined(split())
    start, training = start_of(None), training_of(settings)
    model = load_reranker(start, seed=settings.seed)
    trained = train_reranker(model, start, examples, dev, folder, training=training, report=tell)
    print(trained, flush=True)
    tuned = describe(
        "policies",
        "reranker",
        base=start.name,
        base_fingerprint=start.fingerprint,
        data=None,
        examples=examples,
        seed=settings.seed,
        settings=asdict(training),
        trained=trained,
    )
    finish(folder, tuned, save=partial(save_reranker, model), purpose=PURPOSE.format(name="policies"))
    return folder / MODEL


def orders(
    reranker: Path, reader: Path | None, cache: Path
) -> dict[Reranking, tuple[Reranker, Reader | None]]:
    """What orders anew, by the name of its option."""
    cross = load_cross_encoder(str(reranker), Compute(cache=cache))
    found: dict[Reranking, tuple[Reranker, Reader | None]] = {"none": (cross, None), "cross": (cross, None)}
    if reader is not None:
        found["reader"] = (cross, load_reader(str(reader), Compute(cache=cache)))
    return found


def ranked(
    collection: Collection, models: Mapping[Reranking, tuple[Reranker, Reader | None]], *, within: bool
) -> dict[str, Mapping[str, Values]]:
    """Of every question nDCG@10 and recall at 10, by what orders the hits."""
    documents, questions = collection
    with indexed(list(documents)) as (encoder, index, terms):
        corpus = corpus_of(index)
        wanted = [{chunk.id for chunk in answering(corpus, each)} for each in questions]
        expand = load_profile("general").expansions
        found: dict[str, Mapping[str, Values]] = {}
        for name, (cross, reader) in models.items():
            search = HybridRetriever(
                encoder,
                index,
                terms,
                scope=OWNER,
                options=replace(SearchOptions(), rerank=name, rerank_candidates=CANDIDATES),
                expand=expand,
                reranker=lambda method, cross=cross: cross,  # type: ignore[misc]
                reader=lambda reader=reader: reader,  # type: ignore[misc]
            )
            ids = [[hit.chunk.id for hit in hits] for hits in _asked(search, questions, within=within)]
            pairs = list(zip(ids, wanted, strict=True))
            found[name] = {
                "nDCG@10": np.array([ndcg(*pair) for pair in pairs]),
                "R@10": np.array([len(set(i) & w) / max(1, len(w)) for i, w in pairs]),
            }
        return found


def _asked(search: HybridRetriever, questions: Sequence[Question], *, within: bool) -> list[list[Hit]]:
    hits: list[list[Hit]] = []
    for start in range(0, len(questions), _ASKED):
        part = questions[start : start + _ASKED]
        filters = [each.metadata.get("filters", {}) if within else {} for each in part]
        hits += search.search_many([each.text for each in part], filters=filters)
    return hits


def main() -> None:
    """Train, measure, and write `bench/results/reranker.json` where asked to."""
    parser = argparse.ArgumentParser(description="tune a cross-encoder and measure it")
    parser.add_argument("--folder", type=Path, required=True, help="where the cross-encoder is kept")
    parser.add_argument("--reader", type=Path, help="a reader's folder, to be measured beside it")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of [tune]")
    parser.add_argument("--write", action="store_true", help="write the rows")
    wanted = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    given = [f"tune.{each}" for each in wanted.set]
    settings = load_config(flags={}, file=None, environ={}, assignments=given).config.tune
    bench = Bench("reranker", " ".join(["python bench/reranker.py --folder FOLDER", *given]))
    model, policies = teach(wanted.folder, settings), split()
    with TemporaryDirectory() as cache:
        models = orders(model, wanted.reader, Path(cache))
        for what, collection, within in (
            ("PolicyQA, 6 other policies, in all 20", (policies.documents, policies.report), False),
            ("five corpora, another domain", chroma(), True),
        ):
            found = ranked(collection, models, within=within)
            for name, values in found.items():
                if name != "none":
                    compare(bench, f"{what}, {name}", values, found["none"])
    if wanted.write:
        bench.write()


if __name__ == "__main__":
    main()
