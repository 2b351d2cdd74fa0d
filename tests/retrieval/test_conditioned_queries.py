"""Questions read with the instruction of a task, or behind like questions: in passages nothing changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.small_models import small_transformer, write_json

from ragwright.core.errors import ModelError
from ragwright.core.in_context import in_context_of
from ragwright.core.types import Passage
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import open_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with a prompt for all questions and one for those about tables."""
    path = small_transformer(tmp_path_factory.mktemp("conditioned") / "model")
    prompts = {"query": "ask: ", "document": "", "table": "Find a row: "}
    write_json(path / "config_sentence_transformers.json", {"prompts": prompts})
    write_json(path / "sentence_bert_config.json", {"max_seq_length": 64})
    return path


def encoder(folder: Path, *, task: str | None = None) -> TransformerEncoder:
    compute = Compute(cache=folder, backend="torch", precision="fp32")
    return load_encoder(str(folder), compute, task=task)


def test_a_task_changes_how_questions_are_read_and_nothing_else(folder: Path) -> None:
    plain, table = encoder(folder), encoder(folder, task="table")
    assert (plain.model.query_prompt, table.model.query_prompt) == ("ask: ", "Find a row: ")
    assert plain.fingerprint == table.fingerprint
    assert not np.allclose(plain.encode_queries(["how tall?"]), table.encode_queries(["how tall?"]))
    before, after = (each.encode_passages([Passage("It is tall.")])[0].vector for each in (plain, table))
    assert np.array_equal(before, after)


def test_a_task_that_the_model_does_not_know_is_refused_with_those_it_knows(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"encoder.task is 'list', .* for: document, query, table"):
        open_model(str(folder), task="list")


def test_questions_are_read_behind_the_examples_of_the_models_folder(folder: Path, tmp_path: Path) -> None:
    alone = encoder(folder)
    copy = tmp_path / "shown"
    shutil.copytree(folder, copy)
    in_context_of([("how wide?", "It is wide.")], count=1).write(copy)
    shown = encoder(copy)
    assert shown.fingerprint != alone.fingerprint
    wanted = "Query: how wide?; Document: It is wide.; Query: how tall?"
    assert np.array_equal(shown.encode_queries(["how tall?"]), alone.encode_queries([wanted]))
    # an example that leaves no room for the question is left out
    long = "how " + "very " * 48 + "tall?"
    assert np.array_equal(shown.encode_queries([long]), alone.encode_queries([f"Query: {long}"]))
