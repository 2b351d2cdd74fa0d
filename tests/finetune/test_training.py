"""The training loop, on a model of three numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ragwright.core.config_tuning import TuneConfig
from ragwright.core.errors import InputError, ModelError
from ragwright.finetune.checkpoints import Checkpoints
from ragwright.finetune.training import Job, Progress, Trained, Training, train

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

SETTINGS = Training(seed=1, epochs=2, batch=4, learning_rate=0.1, checkpoints=4, precision="fp32")
ROWS = [(float(x), 2.0 * x + 1.0) for x in torch.linspace(-1, 1, 24).tolist()]


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


def line() -> Any:
    """A module that fits a line, with dropout, so that its draws matter, and a parameter that stays."""

    class Line(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.zeros(2))
            self.fixed = torch.nn.Parameter(torch.ones(1), requires_grad=False)
            self.dropout = torch.nn.Dropout(0.2)

        def forward(self, x: Any, y: Any) -> Mapping[str, Any]:
            predicted = self.dropout(self.weights[0] * x) + self.weights[1] * self.fixed
            return {"loss": ((predicted - y) ** 2).mean()}

    return Line()


def batch(rows: list[tuple[float, float]]) -> dict[str, Any]:
    x, y = torch.tensor(rows).T
    return {"x": x, "y": y}


def job(model: Any, *, dies_at: int | None = None, **changed: Any) -> Job:
    looks = 0

    def look() -> Mapping[str, float]:
        nonlocal looks
        looks += 1
        if looks == dies_at:
            raise Killed
        with torch.no_grad():
            return {"fit": -float(((model.weights - torch.tensor([2.0, 1.0])) ** 2).sum())}

    return Job(**{"model": model, "examples": ROWS, "collate": batch, "look": look, **changed})


def rows_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Trained, list[Progress]]:
    """A training from its beginning to its end."""
    folder, model = tmp_path_factory.mktemp("whole"), line()
    told: list[Progress] = []
    trained = train(job(model), folder, settings=SETTINGS, report=told.append)
    return folder, model, trained, told


def test_a_training_learns_and_says_what_it_did(whole: tuple[Path, Any, Trained, list[Progress]]) -> None:
    _, model, trained, told = whole
    assert trained.steps == 12 and trained.stopped == "epochs" and trained.resumed is None
    assert trained.dev["fit"] > trained.start["fit"] + 1
    assert float(-((model.weights.detach() - torch.tensor([2.0, 1.0])) ** 2).sum()) == pytest.approx(
        trained.dev["fit"]
    )
    assert [each.step for each in told if each.dev] == [0, 3, 6, 9, 12]
    assert model.fixed.item() == 1 and not model.training


def test_curves_hold_every_loss_and_every_look_in_order(
    whole: tuple[Path, Any, Trained, list[Progress]],
) -> None:
    rows = rows_of(whole[0])
    assert [row["step"] for row in rows if "dev" in row] == [0, 3, 6, 9, 12]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, 13))
    rates = [row["learning_rate"] for row in rows if "loss" in row]
    assert max(rates) == pytest.approx(0.1, rel=0.2) and rates[-1] < 0.02


@pytest.mark.parametrize("dies_at", [2, 4])
def test_a_killed_training_goes_on_to_the_same_weights(
    whole: tuple[Path, Any, Trained, list[Progress]], tmp_path: Path, dies_at: int
) -> None:
    with pytest.raises(Killed):
        train(job(line(), dies_at=dies_at), tmp_path, settings=SETTINGS)
    model = line()
    trained = train(job(model), tmp_path, settings=SETTINGS)
    assert trained.resumed == (6 if dies_at == 4 else None)
    assert torch.equal(model.weights, whole[1].weights)
    assert trained.dev == whole[2].dev and trained.start == whole[2].start
    kept = [{key: row[key] for key in row if key != "seconds"} for row in rows_of(tmp_path)]
    assert kept == [{key: row[key] for key in row if key != "seconds"} for row in rows_of(whole[0])]


def test_a_training_that_was_over_is_not_trained_again(
    whole: tuple[Path, Any, Trained, list[Progress]],
) -> None:
    model = line()
    trained = train(job(model), whole[0], settings=SETTINGS)
    assert torch.equal(model.weights, whole[1].weights) and trained.resumed == trained.steps == 12


def test_half_a_checkpoint_is_never_resumed_from(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.claim({"data": 1})
    (checkpoints.scratch / "checkpoint-7").mkdir(parents=True)
    assert checkpoints.last() is None
    checkpoints.keep(7, {"seconds": 1.0})
    found = checkpoints.last()
    assert found is not None and (found.step, found.state) == (7, {"seconds": 1.0})


def test_an_unfinished_training_of_something_else_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path).claim({"data": "one", "seed": 0})
    with pytest.raises(InputError, match=r"data 'one', now 'two'.*choose another name"):
        Checkpoints(tmp_path).claim({"data": "two", "seed": 0})


def test_time_ends_a_training_and_the_step_size_falls_to_nothing_by_then(tmp_path: Path) -> None:
    settings = Training(epochs=100_000, batch=4, minutes=0.01, checkpoints=2, precision="fp32")
    trained = train(job(line()), tmp_path, settings=settings)
    assert trained.stopped == "minutes" and 0 < trained.steps < 600_000
    rows = rows_of(tmp_path)
    assert [row["learning_rate"] for row in rows if "loss" in row][-1] < 5e-6
    assert sum("dev" in row for row in rows) == 3, "at the start, half way and at the end"


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    rows = [(1.0, float("inf"))] * 8
    with pytest.raises(ModelError, match=r"loss is (inf|nan).*lower tune.learning_rate"):
        train(job(line(), examples=rows), tmp_path, settings=SETTINGS)


def test_nothing_is_learnt_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training examples"):
        train(job(line(), examples=[]), tmp_path, settings=SETTINGS)


def test_a_training_that_does_not_fit_says_how_much_it_needs(tmp_path: Path) -> None:
    model = line()
    model.weights = torch.nn.Parameter(torch.empty(1 << 40, device="meta"))
    with pytest.raises(ModelError, match=r"needs about 12,582,912 MB and [\d,]+ MB are free"):
        train(job(model, tokens=10), tmp_path, settings=SETTINGS)


def test_settings_come_from_the_section_tune() -> None:
    config = TuneConfig(seed=3, epochs=2.5, lora_learning_rate=0.01)
    assert Training.of(config) == Training(seed=3, epochs=2.5)
    assert Training.of(config, lora=True) == Training(seed=3, epochs=2.5, learning_rate=0.01)
