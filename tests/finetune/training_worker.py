"""Trains a model of two numbers in the folder that it is given; slowly, so that it can be killed on the way.

python -m tests.finetune.training_worker FOLDER
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragwright.finetune.training import Job, Training, train

SETTINGS = Training(seed=5, epochs=4, batch=4, learning_rate=0.05, checkpoints=12, precision="fp32")


def main(folder: Path, *, pause: float) -> list[float]:
    """Train to the end; returns the two numbers."""
    import torch

    class Line(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.zeros(2))
            self.dropout = torch.nn.Dropout(0.3)

        def forward(self, x: Any, y: Any) -> Mapping[str, Any]:
            time.sleep(pause)
            return {"loss": ((self.dropout(self.weights[0] * x) + self.weights[1] - y) ** 2).mean()}

    def batch(rows: list[Any]) -> dict[str, Any]:
        x, y = torch.tensor(rows).T
        return {"x": x, "y": y}

    model = Line()
    rows = [(float(x), 2.0 * x + 1.0) for x in torch.linspace(-1, 1, 60).tolist()]

    def look() -> Mapping[str, float]:
        return {"fit": -float(((model.weights - torch.tensor([2.0, 1.0])) ** 2).sum())}

    train(Job(model, rows, collate=batch, look=look), folder, settings=SETTINGS)
    found: list[float] = model.weights.tolist()
    return found


if __name__ == "__main__":
    sys.stdout.write(str(main(Path(sys.argv[1]), pause=0.05)))
