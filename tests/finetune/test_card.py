"""What is left of a training: model, card and manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragwright.core.errors import ModelError
from ragwright.finetune.card import card, describe, finish
from ragwright.finetune.checkpoints import Checkpoints
from ragwright.finetune.training import Trained
from ragwright.finetune.tuned_model import TunedModel, read_tuned, tuned_models
from ragwright.finetune.values import Example, TrainingPassage


def example(number: int, source: str) -> Example:
    right = TrainingPassage(f"p{number}", source, "text")
    return Example(str(number), "query", "", (right,), (), (1.0,))


TRAINED = Trained(
    steps=9, seconds=12.34, best=6, start={"nDCG@10": 0.25}, dev={"nDCG@10": 0.5}, resumed=None,
    stopped="epochs", precision="bf16",
)  # fmt: skip


def tuned(folder: Path) -> TunedModel:
    data = folder / "train.jsonl"
    data.write_text("{}\n", encoding="utf-8")
    examples = [example(1, "b.md"), example(2, "a|b.md"), example(3, "b.md")]
    return describe(
        "first", "embedder", base="all-MiniLM-L6-v2", base_fingerprint="0123", data=data, examples=examples,
        seed=7, settings={"epochs": 2.0}, trained=TRAINED, metrics={"outside": 0.1},
    )  # fmt: skip


def save(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("the library's", encoding="utf-8")


def test_a_manifest_tells_what_it_was_made_of_and_what_it_showed(tmp_path: Path) -> None:
    found = tuned(tmp_path)
    assert found.sources == {"a|b.md": 1, "b.md": 2} and len(found.data) == 64 and found.seed == 7
    assert found.metrics == {
        "start.nDCG@10": 0.25, "dev.nDCG@10": 0.5, "steps": 9.0, "best step": 6.0, "seconds": 12.3,
        "outside": 0.1,
    }  # fmt: skip
    assert found.made.endswith("+00:00") and "ragwright" in found.versions


def test_a_finished_folder_holds_model_card_and_manifest_and_no_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "tuned" / "first"
    checkpoints = Checkpoints(folder)
    checkpoints.claim({})
    finish(folder, tuned(tmp_path), save=save, purpose="It *finds*.")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model", "tuned.json"]
    assert [path.name for path in (folder / "model").iterdir()] == ["model.safetensors"]
    assert read_tuned(folder).name == "first" and [each for each, _ in tuned_models(folder.parent)] == [
        folder
    ]
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# first\n\nIt *finds*.") and "| a\\|b.md | 1 |" in text and "0.5000" in text


def test_a_model_that_cannot_be_written_leaves_an_unfinished_folder_that_can_be_gone_on_with(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "first"
    Checkpoints(folder).claim({"data": 1})

    def fail(scratch: Path) -> None:
        (scratch / "half").write_bytes(b"")
        raise ModelError("no room")

    with pytest.raises(ModelError, match="no room"):
        finish(folder, tuned(tmp_path), save=fail, purpose="")
    assert [path.name for path in folder.iterdir()] == ["checkpoints"]
    Checkpoints(folder).claim({"data": 1})
    finish(folder, tuned(tmp_path), save=save, purpose="")
    assert read_tuned(folder).kind == "embedder"


def test_a_card_says_so_where_there_is_nothing_to_tell() -> None:
    bare = TunedModel("bare", "adapter", "base", "00", "", 0, "2026-01-01T00:00:00+00:00")
    assert card(bare, purpose="p").count("\n\nNone.") == 4
