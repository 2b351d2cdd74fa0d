"""A cross-encoder learns to order chunks, and its folder serves as any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.finetune.test_reader import example

from ragwright.core.errors import ModelError
from ragwright.finetune.reader_model import ReaderStart
from ragwright.finetune.reranker import load_reranker, logits, look, row_of, save_reranker, train_reranker
from ragwright.finetune.training import Trained, Training

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from tests.small_models import small_transformer  # noqa: E402 - needs torch


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> ReaderStart:
    return ReaderStart(small_transformer(tmp_path_factory.mktemp("encoder")), "small", "0123")


def test_a_row_names_the_chunks_that_answer() -> None:
    made = row_of(example(1, seed=2))
    assert made["labels"] == [1.0, 0.0] and made["docs"][0] == example(1, seed=2).positives[0].text


def test_scores_come_in_the_order_of_the_pairs_whatever_their_length(start: ReaderStart) -> None:
    model = load_reranker(start)
    pairs = [("pump?", "a bolt " * n) for n in (30, 1, 60, 2)]
    with torch.no_grad():
        together = logits(model.eval(), pairs)
        alone = torch.cat([logits(model, [pair]) for pair in pairs])
    assert torch.allclose(together, alone, atol=1e-5) and together.std() > 1e-4


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded for training"):
        load_reranker(ReaderStart(tmp_path, "empty", "0"))


def test_the_same_seed_gives_the_same_head(start: ReaderStart) -> None:
    pairs = [("what is red?", "The pump is red.")]
    with torch.no_grad():
        scores = [float(logits(load_reranker(start, seed=seed).eval(), pairs)) for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]


@pytest.fixture(scope="module")
def trained(start: ReaderStart, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Trained]:
    """A small cross-encoder that has learnt colours, and its folder."""
    model, run = load_reranker(start), tmp_path_factory.mktemp("run")
    done = train_reranker(
        model,
        start,
        [example(n, seed=5) for n in range(64)],
        [example(n, seed=6) for n in range(12)],
        run,
        training=Training(epochs=8, batch=16, learning_rate=3e-3, checkpoints=2, precision="fp32", seed=3),
    )
    save_reranker(model, run / "model")
    return model, run / "model", done


@pytest.mark.slow
def test_a_reranker_learns_which_chunk_answers(trained: tuple[Any, Path, Trained]) -> None:
    _, _, done = trained
    assert done.dev["nDCG@10"] > max(0.9, done.start["nDCG@10"])


@pytest.mark.slow
def test_the_folder_is_opened_as_a_reranker_and_scores_alike(
    trained: tuple[Any, Path, Trained], tmp_path: Path
) -> None:
    from tests.retrieval.test_reader import chunk

    from ragwright.retrieval.cross_encoder import load_cross_encoder
    from ragwright.retrieval.forward import Compute

    model, folder, _ = trained
    held = [example(n, seed=7) for n in range(4)]
    texts = [[each.positives[0].text, each.negatives[0].text] for each in held]
    served = load_cross_encoder(str(folder), Compute(tmp_path, backend="torch", precision="fp32", threads=1))
    found = served.rerank([each.query for each in held], [[chunk(t, context="") for t in ts] for ts in texts])
    with torch.no_grad():
        pairs = [(each.query, text) for each, ts in zip(held, texts, strict=True) for text in ts]
        expected = torch.sigmoid(logits(model.eval(), pairs)).numpy()
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)
    assert look(model, held)["nDCG@10"] > 0.9
