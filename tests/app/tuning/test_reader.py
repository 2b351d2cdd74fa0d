"""`ragwright tune reader` and `tune reranker`, from examples to models that serve."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from ragwright.app.tuning.run_folder import DEV, EXAMPLES, TRAIN
from ragwright.finetune.rows import write_examples
from ragwright.finetune.tuned_model import read_tuned
from ragwright.finetune.values import Example, TrainingPassage

pytest.importorskip("accelerate")

Run = Callable[..., Result]
ASKED = {
    "who keeps the key of the gate?": "The harbour master keeps the key of the tide gate.",
    "when does the ferry leave?": "The ferry leaves at seven and returns at nine.",
    "what does the crane lift?": "The crane on the east quay lifts forty tons.",
}
QUICK = ("--set", "tune.epochs=2", "--set", "tune.reader_batch=4", "--set", "tune.precision=fp32")


def _examples(project: Path) -> list[Example]:
    """A question for each document; the other documents' chunks answer it not."""
    from ragwright.app.workspace import Workspace
    from ragwright.core.config import Config

    workspace = Workspace(Config(workspace=project / ".ragwright"))
    try:
        hits = {hit.chunk.id: hit for query in ASKED for hit in workspace.retriever.search(query)}
    finally:
        workspace.close()
    passages = {key: hit.chunk.context + hit.chunk.text for key, hit in hits.items()}
    made = []
    for number, (query, answer) in enumerate(ASKED.items()):
        positives, negatives = list[TrainingPassage](), list[TrainingPassage]()
        for key, text in passages.items():
            start = text.find(answer)
            evidence = ((start, start + len(answer)),) if start >= 0 else ()
            (positives if evidence else negatives).append(
                TrainingPassage(key, hits[key].source, text, evidence)
            )
        scores = (1.0,) * (len(positives) + len(negatives))
        made.append(Example(f"q{number}", query, "", tuple(positives), tuple(negatives), scores))
    return made


@pytest.fixture
def taught(project: Path) -> Path:
    """A project with training examples."""
    examples = _examples(project)
    write_examples(project / ".ragwright" / EXAMPLES / TRAIN, examples * 4)
    write_examples(project / ".ragwright" / EXAMPLES / DEV, examples)
    return project


@pytest.fixture
def small(tmp_path: Path) -> str:
    from tests.small_models import small_transformer

    return str(small_transformer(tmp_path / "small"))


def test_without_examples_it_says_what_to_run(project: Path, run: Run) -> None:
    for command in ("reader", "reranker"):
        told = run("tune", command)
        assert told.exit_code == 1 and "ragwright tune negatives" in told.stderr


@pytest.mark.slow
def test_a_reader_is_trained_and_then_chooses_the_evidence(taught: Path, run: Run, small: str) -> None:
    told = run("tune", "reader", "--base", small, *QUICK)
    assert told.exit_code == 0, told.stderr
    folder = taught / ".ragwright" / "tuned" / "reader"
    tuned = read_tuned(folder)
    assert (tuned.kind, tuned.base) == ("reader", small) and "dev.evidence" in tuned.metrics
    assert {"docs/harbour.md", "docs/mail/ferry.txt"} <= tuned.sources.keys()
    assert (folder / "README.md").is_file() and not list(folder.glob(".*"))
    model = ("--set", f"reader.model={folder / 'model'}")
    found = json.loads(run("search", "when does the ferry leave?", "--json", *model).stdout)
    assert all(0.0 <= hit["scores"]["reader"] <= 1.0 for hit in found["hits"])
    reranked = run("search", "when does the ferry leave?", "--rerank", "reader", "--json", *model)
    assert all("reranked" in hit["scores"] for hit in json.loads(reranked.stdout)["hits"])
    explained = run("search", "when does the ferry leave?", "--explain", *model)
    assert "reader 0." in explained.stdout
    again = run("tune", "reader", "--base", small, *QUICK)
    assert again.exit_code == 1 and "choose another name" in again.stderr


@pytest.mark.slow
def test_a_reader_goes_on_learning(taught: Path, run: Run, small: str) -> None:
    assert run("tune", "reader", "--base", small, *QUICK).exit_code == 0
    first = taught / ".ragwright" / "tuned" / "reader" / "model"
    told = run("tune", "reader", "--base", str(first), "--name", "second", *QUICK)
    assert told.exit_code == 0, told.stderr
    assert read_tuned(taught / ".ragwright" / "tuned" / "second").base == str(first)


@pytest.mark.slow
def test_a_reranker_is_trained_and_then_orders(taught: Path, run: Run, small: str) -> None:
    told = run("tune", "reranker", "--base", small, *QUICK)
    assert told.exit_code == 0, told.stderr
    folder = taught / ".ragwright" / "tuned" / "reranker"
    assert read_tuned(folder).kind == "reranker"
    found = run(
        "search", "ferry", "--rerank", "cross", "--json", "--set", f"reranker.model={folder / 'model'}"
    )
    assert found.exit_code == 0, found.stderr
    assert all("reranked" in hit["scores"] for hit in json.loads(found.stdout)["hits"])
    again = run("tune", "reranker", "--base", str(folder / "model"), "--name", "second", *QUICK)
    assert again.exit_code == 0, again.stderr
