"""The reader: what the transformer and its heads say of every sentence, whatever is read beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.small_reader import RULES, small_reader

from ragwright.core.errors import ModelError
from ragwright.core.protocols import Reading
from ragwright.core.reader_folder import RULES as RULES_FILE
from ragwright.core.types import Chunk, Span
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.reader import UNREAD, JoinedReader, TransformerReader, best_range, load_reader
from ragwright.retrieval.reader_model import open_reader_model

QUERIES = ["which bolt holds the gasket?", "torque of the pump"]


def chunk(*sentences: str, context: str = "Manual > Pumps\n", start: int = 40) -> Chunk:
    """A chunk of these sentences."""
    text = " ".join(sentences)
    starts = [start + sum(len(each) + 1 for each in sentences[:place]) for place in range(len(sentences))]
    spans = tuple(Span("d", at, at + len(each)) for at, each in zip(starts, sentences, strict=True))
    return Chunk(text[:20], Span("d", start, start + len(text)), text, context, (), None, spans, 9)


CHUNKS = [
    chunk("The gasket sits below the cover.", "Four bolts hold it, each of naïve steel."),
    chunk("Torque: 4711 Nm.", context=""),
    chunk("The pump runs.", "It never stops (unless it must).", "漢字 too."),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_reader(tmp_path_factory.mktemp("reader"))


def _compute(cache: Path, backend: Any = "torch") -> Compute:
    return Compute(cache, backend=backend, precision="fp32", threads=1, batch_tokens=256)


@pytest.fixture(scope="module")
def reader(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TransformerReader:
    return load_reader(str(folder), _compute(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def readings(reader: TransformerReader) -> list[list[Reading]]:
    """Every query with every chunk."""
    return reader.read(QUERIES, [CHUNKS] * len(QUERIES))


def _by_hand(folder: Path, query: str, read: Chunk) -> tuple[float, list[float]]:
    """Log-odds of a chunk and of its sentences by transformers alone."""
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    encoded = tokenizer(query, read.context + read.text, return_offsets_mapping=True)
    arrays = {key: torch.tensor([encoded[key]]) for key in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        states = AutoModel.from_pretrained(str(folder))(**arrays).last_hidden_state[0].numpy()
    heads = load_file(str(folder / "heads.safetensors"))
    sides = np.array([-1 if side is None else side for side in encoded.sequence_ids(0)])
    states = states / np.sqrt((states**2).mean(1, keepdims=True))
    ways = heads["weight"] @ states[sides == 0].mean(0) + heads["bias"]
    odds = states @ ways[1] + heads["offset"][1]
    shift, means = len(read.context) - read.span.start, []
    for span in read.sentences:
        inside = [
            place
            for place, (first, _) in enumerate(encoded["offset_mapping"])
            if sides[place] == 1 and span.start + shift <= first < span.end + shift
        ]
        means.append(float(odds[inside].mean()))
    return float(states[sides == 1].mean(0) @ ways[0] + heads["offset"][0]), means


def test_a_reading_is_what_the_transformer_and_its_heads_say(
    folder: Path, readings: Sequence[Sequence[Reading]]
) -> None:
    for query, found in zip(QUERIES, readings, strict=True):
        for read, reading in zip(CHUNKS, found, strict=True):
            passage, sentences = _by_hand(folder, query, read)
            assert reading.passage == pytest.approx(passage, abs=1e-4)
            np.testing.assert_allclose(reading.sentences, sentences, atol=1e-4)
    assert np.std([each.passage for found in readings for each in found]) > 0.1, "chunks are told apart"


def test_a_reading_does_not_depend_on_what_is_read_beside_it(
    reader: TransformerReader, readings: Sequence[Sequence[Reading]]
) -> None:
    alone = reader.read(QUERIES[1:], [CHUNKS[2:]])[0][0]
    assert alone.passage == readings[1][2].passage
    np.testing.assert_array_equal(alone.sentences, readings[1][2].sentences)
    assert reader.read(["pump", "bolt"], [[], []]) == [[], []] and reader.read([], []) == []


def test_openvino_reads_as_torch_does(
    folder: Path, tmp_path: Path, readings: Sequence[Sequence[Reading]]
) -> None:
    found = load_reader(str(folder), _compute(tmp_path, "openvino")).read(QUERIES, [CHUNKS] * 2)
    for ours, theirs in zip(found, readings, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.passage == pytest.approx(other.passage, abs=1e-3)
            np.testing.assert_allclose(one.sentences, other.sentences, atol=1e-3)


def test_joined_readers_give_each_caller_the_own_readings(
    reader: TransformerReader, readings: Sequence[Sequence[Reading]]
) -> None:
    joined = JoinedReader(reader, limit=4)
    assert (joined.fingerprint, joined.rules) == (reader.fingerprint, RULES)
    found = joined.read(QUERIES, [CHUNKS, CHUNKS[:1]])
    assert [len(each) for each in found] == [3, 1]
    assert found[1][0].passage == readings[1][0].passage


def test_a_sentence_beyond_the_limit_is_said_to_be_no_evidence(reader: TransformerReader) -> None:
    long = chunk(*["The pump never stops, whatever the bolt of the gasket does."] * 12)
    found = reader.read(QUERIES[:1], [[long]])[0][0]
    assert (found.sentences[-3:] == UNREAD).all() and (found.sentences[:3] != UNREAD).all()


def test_the_answer_is_whole_words_of_the_chunk(reader: TransformerReader) -> None:
    words = ["unbelievable", "gaskets", "4711", "torque", "naïve", "never"]
    texts = [chunk(" ".join(words[n:] + words[:n])) for n in range(6)]
    found = [
        (each, reading.answer) for each, reading in zip(texts, reader.read(["bolt"], [texts])[0], strict=True)
    ]
    answers = [each.text[answer[0] : answer[1]] for each, answer in found if answer is not None]
    assert answers and all(set(answer.split()) <= set(words) for answer in answers)


@given(st.lists(st.floats(-5, 5, width=32), max_size=12))
def test_no_other_range_of_tokens_has_a_larger_sum(odds: list[float]) -> None:
    array = np.array(odds, np.float32)
    ranges = [(a, b) for a in range(len(array)) for b in range(a + 1, len(array) + 1)]
    best = max((float(array[a:b].sum()) for a, b in ranges), default=0.0)
    found = best_range(array)
    assert (found is None) == (not len(array) or array.max() <= 0)
    if found is not None:
        assert float(array[slice(*found)].sum()) == pytest.approx(best, abs=1e-4)


def test_a_folder_without_rules_or_with_other_heads_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelError, match="train the reader again"):
        open_reader_model(str(small_reader(tmp_path / "narrow", width=16)))
    plain = small_reader(tmp_path / "plain")
    rules = json.loads((plain / RULES_FILE).read_text(encoding="utf-8"))
    (plain / RULES_FILE).write_text(json.dumps({**rules, "format": 9}), encoding="utf-8")
    with pytest.raises(ModelError, match="format 9"):
        open_reader_model(str(plain))
    (plain / RULES_FILE).unlink()
    with pytest.raises(ModelError, match="ragwright tune reader"):
        open_reader_model(str(plain))


def test_the_fingerprint_names_the_rules_too(tmp_path: Path, folder: Path) -> None:
    from dataclasses import replace

    from ragwright.core.reader_folder import write_rules

    before = open_reader_model(str(folder))
    other = small_reader(tmp_path)
    assert open_reader_model(str(other)).model.fingerprint == before.model.fingerprint
    write_rules(other, replace(RULES, max_tokens=64))
    assert open_reader_model(str(other)).model.fingerprint != before.model.fingerprint
    assert before.rules == RULES and before.model.max_tokens == 96
