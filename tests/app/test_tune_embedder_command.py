"""`ragwright tune embedder` and `ragwright tune lora`, in a workspace whose encoder is a small model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.app.conftest import DOCUMENTS
from tests.small_models import small_transformer, write_json
from typer.testing import CliRunner, Result

from ragwright.app.cli import app
from ragwright.app.tuning.embedder import logits
from ragwright.app.workspace import Workspace
from ragwright.core.config import load_config
from ragwright.finetune.rows import write_examples
from ragwright.finetune.tuned_model import read_tuned
from ragwright.finetune.values import Example, TrainingPassage
from ragwright.retrieval.model import open_model

pytestmark = pytest.mark.slow

Run = Callable[..., Result]
_QUESTIONS = {
    "harbour.md": "who holds the key",
    "mail/ferry.txt": "when does it sail",
    "mail/crane.txt": "how strong",
}
_SETTINGS = ("--set", "tune.epochs=4", "--set", "tune.batch=4", "--set", "tune.checkpoints=2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three documents ingested by a small model through torch, with training examples; to be copied."""
    folder = tmp_path_factory.mktemp("tuned")
    small_transformer(folder / "model")
    write_json(folder / "model" / "sentence_bert_config.json", {"max_seq_length": 256})
    for name, text in DOCUMENTS.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    text = f'[encoder]\nmodel = "{folder / "model"}"\nbackend = "torch"\nprecision = "fp32"\n'
    (folder / "ragwright.toml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["ingest", "docs"])
    assert done.exit_code == 0, done.output
    _write_examples(folder)
    return folder


def _write_examples(folder: Path) -> None:
    """One example for each chunk, thrice, and one for dev."""
    config = load_config(flags={}, file=folder / "ragwright.toml", environ={}).config
    workspace = Workspace(config)
    version, manifest = workspace.live()
    stored = [each for part in workspace.open_index(version, manifest).scan() for each in part]
    workspace.close()
    read = {
        each.source.removeprefix("docs/"): TrainingPassage(
            each.chunk.id, each.source, each.chunk.context + each.chunk.text
        )
        for each in stored
    }
    made = []
    for number in range(4):
        for source, question in _QUESTIONS.items():
            others = [passage for name, passage in read.items() if name != source]
            query = question + "?" * number
            made.append(Example(query, query, "", (read[source],), (others[0],), (1.0, 0.5)))
    write_examples(folder / ".ragwright" / "tuning" / "examples" / "train.jsonl", made[:9])
    write_examples(folder / ".ragwright" / "tuning" / "examples" / "dev.jsonl", made[9:])


@pytest.fixture
def here(project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project that is the current folder."""
    shutil.copytree(project, folder / "copy")
    monkeypatch.chdir(folder / "copy")
    return folder / "copy" / ".ragwright"


def test_an_embedder_is_trained_into_its_folder_and_its_name_is_then_taken(here: Path, run: Run) -> None:
    done = run("tune", "embedder", "--json", *_SETTINGS)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    tuned = read_tuned(here / "tuned" / "embedder")
    assert told["name"] == tuned.name == "embedder" and tuned.kind == "embedder"
    assert tuned.metrics["steps"] == 12 and sum(tuned.sources.values()) == 9
    assert open_model(str(here / "tuned" / "embedder" / "model")).fingerprint != tuned.base_fingerprint
    again = run("tune", "embedder", *_SETTINGS)
    assert again.exit_code == 1 and "choose another name with --name" in again.stderr


def test_lora_weights_may_read_questions_only(here: Path, run: Run) -> None:
    done = run("tune", "lora", "--queries", "--name", "experts", *_SETTINGS)
    assert done.exit_code == 0, done.output
    assert "ragwright tune routing" in done.stdout and "before" in done.stdout
    model = open_model(str(here / "tuned" / "experts" / "model"))
    assert model.lora is not None and model.lora.queries_only
    assert read_tuned(here / "tuned" / "experts").kind == "lora"


def test_weights_for_questions_are_not_trained_on_another_model(here: Path, run: Run, folder: Path) -> None:
    other = small_transformer(folder / "other", num_hidden_layers=1)
    done = run("tune", "lora", "--queries", "--base", str(other), *_SETTINGS)
    assert done.exit_code == 1 and "weights for questions alone need the model of the index" in done.stderr


def test_without_examples_it_says_how_to_get_them(here: Path, run: Run) -> None:
    shutil.rmtree(here / "tuning")
    done = run("tune", "embedder")
    assert done.exit_code == 1
    assert "run: ragwright tune questions, then: ragwright tune negatives" in " ".join(done.stderr.split())


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_a_name_is_the_name_of_a_folder(here: Path, run: Run, name: str) -> None:
    done = run("tune", "embedder", "--name", name)
    assert done.exit_code == 1 and "cannot name a tuned model" in " ".join(done.stderr.split())


def test_scores_that_went_through_a_sigmoid_become_logits_again() -> None:
    assert logits([0.5, 0.9])[0] == 0 and logits([0.9])[0] == pytest.approx(2.197, abs=1e-3)
    assert logits([-3.0, 0.5]) == [-3.0, 0.5]
    assert all(abs(each) < 20 for each in logits([0.0, 1.0]))
