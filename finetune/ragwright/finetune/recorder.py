"""What happens beside the steps of a training: looks, curves, checkpoints, and the bound of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.finetune.checkpoints import Checkpoint, Checkpoints
from ragwright.finetune.curves import Curves

_ROWS = 100  # losses that are written down in one training

Look = Callable[[], Mapping[str, float]]
"""Measures the model as it stands on the dev questions, in evaluation mode and without gradients.

The first measure chooses the weights that are kept; higher is better.
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands.

    Attributes:
        step: Steps done.
        steps: Steps in all, if no bound of time ends it before.
        loss: Mean loss since the last report; None before the first, and at a look.
        dev: What this look showed; empty where it is no look.
        seconds: Spent on training so far, resumptions included.
    """

    step: int
    steps: int
    loss: float | None
    dev: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How a training is to go.

    Attributes:
        steps: Steps in all.
        checkpoints: Checkpoints, and looks, in all.
        minutes: Most minutes; 0 sets no bound.
        warmup: Share of it in which the step size rises.
    """

    steps: int
    checkpoints: int
    minutes: float
    warmup: float


class Recorder:
    """Follows one training from its first step, or from where it is gone on with, to its last.

    Attributes:
        plan: How it is to go.
        seconds: Spent on steps.
        start: The look before the first step.
        best: The step of the best look, and what it showed.
        stopped: `minutes` once the bound of time has ended it.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        model: Any,
        look: Look | None,
        checkpoints: Checkpoints,
        curves: Curves,
        last: Checkpoint | None,
        report: Callable[[Progress], None] | None,
    ) -> None:
        """Begin, or go on from a checkpoint.

        Args:
            plan: How it is to go.
            model: What is trained.
            look: See `Look`.
            checkpoints: Where they are kept.
            curves: Where losses and looks are written down.
            last: Where it goes on from.
            report: Told of whatever is written down.
        """
        self.plan, self._model, self._look = plan, model, look
        self._checkpoints, self._curves, self._report = checkpoints, curves, report
        state: Mapping[str, Any] = last.state if last else {}
        self.seconds = float(state.get("seconds", 0.0))
        self.start: Mapping[str, float] = state.get("start", {})
        self.best: tuple[int, Mapping[str, float]] | None = None
        if "best" in state:
            self.best = int(state["best"][0]), state["best"][1]
        self.stopped = str(state.get("stopped", ""))
        self._before = float(state.get("wall", 0.0))
        self._marks = int(state.get("marks", 0))  # checkpoints that are behind
        self._began = self._mark = time.perf_counter()

    def begin(self) -> None:
        """Look once before the first step."""
        self.start = self._measure(0)
        self._mark = time.perf_counter()

    def progress(self, step: int) -> float:
        """Share of the training that is over, in steps or in time, whichever is further; 0 to 1."""
        share = step / self.plan.steps
        if self.plan.minutes:
            share = max(share, self._wall() / (60 * self.plan.minutes))
        return min(share, 1.0)

    def step_size(self, step: int) -> float:
        """Share of the largest step size: rises in the warm-up, then falls to 0 in a straight line."""
        done, warmup = self.progress(step), self.plan.warmup
        if done < warmup:
            return max(done, 1 / self.plan.steps) / warmup
        return (1.0 - done) / (1.0 - warmup)

    def stepped(self, step: int, control: Any) -> None:
        """After a step: say whether it is written down, looked at, kept, or the last one."""
        now = time.perf_counter()
        since, self._mark = now - self._mark, now
        self.seconds += since
        done = self.progress(step)
        control.should_log = step % max(1, self.plan.steps // _ROWS) == 0 or done >= 1.0
        if done >= 1.0:
            control.should_training_stop = True
            self.stopped = "minutes" if step < self.plan.steps else "epochs"
        marks = int(done * self.plan.checkpoints + 1e-9)
        if done >= 1.0 or marks > self._marks:
            self._marks = marks
            self._take_look(step)
            control.should_save = True
        self._mark = time.perf_counter()

    def logged(self, step: int, logs: Mapping[str, float]) -> None:
        """Write a loss down.

        Raises:
            ModelError: It is no number any more.
        """
        if "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise ModelError(
                f"the loss is {loss} at step {step}; lower tune.learning_rate, or set tune.precision=fp32"
            )
        rate = float(logs.get("learning_rate", 0.0))
        self._curves.add_loss(step, loss, learning_rate=rate, seconds=self.seconds)
        self._tell(step, loss, {})

    def saved(self, step: int) -> None:
        """Take over a checkpoint that was written."""
        state: dict[str, Any] = {"seconds": self.seconds, "wall": self._wall(), "start": dict(self.start)}
        state["marks"] = self._marks
        if self.best is not None:
            state["best"] = [self.best[0], dict(self.best[1])]
        if self.stopped:
            state["stopped"] = self.stopped
        self._checkpoints.keep(step, state)
        self._mark = time.perf_counter()

    def _wall(self) -> float:
        return self._before + time.perf_counter() - self._began

    def _take_look(self, step: int) -> None:
        found = self._measure(step)
        if found and (self.best is None or _value(found) > _value(self.best[1])):
            self.best = step, found
            self._checkpoints.write_best(self._model)

    def _measure(self, step: int) -> Mapping[str, float]:
        if self._look is None:
            return {}
        import torch

        self._model.eval()
        # what is drawn afterwards does not depend on how often was looked
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = {name: float(value) for name, value in self._look().items()}
        self._curves.add_look(step, found, seconds=self.seconds)
        self._tell(step, None, found)
        return found

    def _tell(self, step: int, loss: float | None, dev: Mapping[str, float]) -> None:
        if self._report is not None:
            self._report(Progress(step, self.plan.steps, loss, dev, self.seconds))


def _value(dev: Mapping[str, float]) -> float:
    """What looks are compared by: the first measure."""
    found = next(iter(dev.values()))
    return -math.inf if math.isnan(found) else found
