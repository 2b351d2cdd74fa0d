"""What int8 costs: recall and nDCG of dense retrieval on public collections, paired by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rows import DATA, Bench, Row

from ragwright.app.int8_corpus import Corpus
from ragwright.app.int8_verdict import judge
from ragwright.core.profile import load_profile
from ragwright.core.types import Chunk
from ragwright.eval.binding import bind, bind_judgements
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Dataset
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.texts import as_document
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.tokens import ModelTokenizer

COLLECTIONS = {"Cranfield": "cranfield", "the five corpora": "chroma"}


def samples(tokenizer: ModelTokenizer, count: int) -> list[str]:
    """Chunks of privacy policies, which no question here is about, evenly over all."""
    chunks = _chunks(load_dataset(DATA / "policyqa" / "dev.json"), tokenizer)
    return [each.context + each.text for each in chunks[:: max(1, len(chunks) // count)]][:count]


def add_losses(bench: Bench, usual: TransformerEncoder, int8: TransformerEncoder, *, learned: str) -> None:
    """Rows of what int8 loses on each collection, in points, with 95 % intervals over questions.

    Args:
        bench: Gets them.
        usual: The float model.
        int8: Its int8 form.
        learned: What its ranges were learned from, in words.
    """
    for name, folder in COLLECTIONS.items():
        corpus = _corpus(load_dataset(DATA / folder), usual.tokenizer)
        verdict = judge(corpus, usual, int8, model=usual.model.name, seed=0)
        note = (
            f"{verdict.chunks} chunks; {verdict.agreement:.1%} of the ten nearest agree; cosine "
            f"{verdict.cosine:.4f}; ranges learned from {learned}"
        )
        for each in verdict.losses:
            what = (
                f"int8 on {name}: loss of {each.measure} ({each.usual:.4f} with the float model), in points"
            )
            values = (100 * each.loss, "points", 100 * each.low, 100 * each.high)
            bench.rows.append(Row(what, *values, verdict.questions, "<= 0.5", each.loss <= 0.005, note))
            print(f"{what}: {values[0]:.3f} [{values[2]:.3f} .. {values[3]:.3f}]", flush=True)


def _corpus(dataset: Dataset, tokenizer: ModelTokenizer) -> Corpus:
    texts = {each.source: each.text for each in dataset.texts}
    questions, judgements = bind(dataset, texts, texts.get), bind_judgements(dataset, texts)
    relevant = {each.question_id for each in judgements if each.grade > 0}
    asked = [each for each in questions if each.id in relevant or (not judgements and each.references)]
    return Corpus(dataset.name, _chunks(dataset, tokenizer), (), asked, judgements)


def _chunks(dataset: Dataset, tokenizer: ModelTokenizer) -> Sequence[Chunk]:
    chunker = build_chunker(load_profile("general"), tokenizer)
    documents = [as_document(each.source, each.text, title=each.title) for each in dataset.texts]
    return [
        replace(chunk, span=replace(chunk.span, document_id=document.source))
        for document in documents
        for chunk in chunker(document)
    ]
