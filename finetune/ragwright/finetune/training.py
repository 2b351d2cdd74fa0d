"""Training any of the models: one loop around the libraries' trainers, resumable, bounded and written down.

    job = Job(model, examples, collate=..., loss=..., look=...)
    trained = train(job, folder, settings=Training.of(config.tune))
    finish(folder, tuned, save=...)                              # card.py

The model is changed in place, and holds the weights of the best look at the dev questions afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ragwright.core.config_tuning import TuneConfig
from ragwright.core.errors import InputError
from ragwright.core.lock import workspace_lock
from ragwright.finetune.checkpoints import WEIGHTS, Checkpoint, Checkpoints, read_weights
from ragwright.finetune.curves import Curves
from ragwright.finetune.memory import Step, check_memory
from ragwright.finetune.recorder import Look, Plan, Progress, Recorder
from ragwright.finetune.trainers import (
    check_libraries,
    make_trainer,
    native_bf16,
    quiet,
    training_device,
)
from ragwright.finetune.tuned_model import CURVES

__all__ = ["Job", "Look", "Progress", "Trained", "Training", "train"]


@dataclass(frozen=True, slots=True)
class Training:
    """How long and how fast is learnt; see `TuneConfig` for each.

    Attributes:
        seed: Of everything that is drawn.
        epochs: Times that the examples are seen.
        batch: Examples in one step.
        learning_rate: Largest step size.
        warmup: Share of the steps in which it rises.
        minutes: Most minutes, looks and those before a resumption included; 0 sets no bound. The step size
            falls to 0 by then.
        checkpoints: Checkpoints, and looks, in the whole training.
        precision: `auto` takes bf16 where the hardware computes it natively.
    """

    seed: int = 0
    epochs: float = 1.0
    batch: int = 64
    learning_rate: float = 5e-5
    warmup: float = 0.1
    minutes: float = 0
    checkpoints: int = 10
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    @classmethod
    def of(cls, settings: TuneConfig, *, lora: bool = False) -> Training:
        """The settings of `[tune]`, for a whole model or for LoRA weights."""
        found = cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})
        return replace(found, learning_rate=settings.lora_learning_rate) if lora else found


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained, and on what.

    Attributes:
        model: A `SentenceTransformer` or a `CrossEncoder`, trained by its own trainer with `loss`; or any
            other `torch.nn.Module` whose `forward` takes a collated batch by keyword and returns a mapping
            with a scalar "loss". Parameters that do not require gradients stay as they are, and only the
            others are kept in checkpoints. In bf16 its `forward` runs under autocast; a loss outside it
            does not.
        examples: Rows: anything that `collate` understands; without one, mappings from column to text as
            the trainers of sentence-transformers take them. They are shuffled by the seed in every epoch.
        collate: Makes a batch, a mapping from name to tensor, of some examples; None: the trainer's own.
        loss: A module of sentence-transformers, called as `loss(features, labels)`; None for plain modules.
        look: See `Look`; None keeps the last weights.
        tokens: Mean tokens of an example, all its texts together; for the memory estimate. 0: not estimated.
        longest: Tokens of the longest text, for the same.
        kept: Share of the intermediate results of a step that are held at the same time, for the same.
        identity: What the training depends on beside its settings, such as the digest of the data and the
            base's fingerprint. A folder with an unfinished training of another identity is refused.
    """

    model: Any
    examples: Sequence[Any]
    collate: Callable[[list[Any]], dict[str, Any]] | None = None
    loss: Any | None = None
    look: Look | None = None
    tokens: int = 0
    longest: int = 512
    kept: float = 1.0
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training.

    Attributes:
        steps: Steps done.
        seconds: Spent on them, without looks and checkpoints.
        best: The step whose weights the model has now.
        start: The look before the first step; empty without looks.
        dev: The look at the best step; empty without looks.
        resumed: The step it was resumed from; None when it was not.
        stopped: `minutes` when the bound of time ended it.
        precision: What was computed in.
        memory: Estimate of what it took beyond the weights, in bytes; 0 where nothing was estimated.
    """

    steps: int
    seconds: float
    best: int
    start: Mapping[str, float]
    dev: Mapping[str, float]
    resumed: int | None
    stopped: Literal["epochs", "minutes"]
    precision: Literal["bf16", "fp32"]
    memory: int = 0


def train(
    job: Job,
    folder: Path,
    *,
    settings: Training,
    report: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a model in place; killed at any time, the next call goes on from the last whole checkpoint.

    Writes `curves.jsonl` (rows with `step`, `seconds` and either `loss` and `learning_rate`, or `dev`) and,
    until `finish` removes them, `checkpoints/`.

    Args:
        job: What is trained.
        folder: The run's folder; made when absent.
        settings: How.
        report: Told of every loss that is written down, and of every look.

    Raises:
        InputError: There are no examples, or the folder holds an unfinished training of something else.
        ModelError: The training would need more memory than is free; the message says both. Or the loss
            became no number.
        MissingExtra: A library of the extra `tune` is absent.
        WorkspaceBusy: Another process trains in this folder.
    """
    check_libraries()
    if not job.examples:
        raise InputError("there are no training examples; make questions and mine examples first")
    device = training_device()
    half = settings.precision == "bf16" or (settings.precision == "auto" and native_bf16(device))
    memory = 0
    if job.tokens:
        step = Step(job.tokens * min(settings.batch, len(job.examples)), job.longest, half, job.kept)
        memory = check_memory(job.model, step, device=device)
    with workspace_lock(folder, purpose="a training"):
        return _trained(job, folder, settings=settings, half=half, memory=memory, report=report)


def _trained(
    job: Job,
    folder: Path,
    *,
    settings: Training,
    half: bool,
    memory: int,
    report: Callable[[Progress], None] | None,
) -> Trained:
    """See `train`, for a folder that is ours alone."""
    checkpoints = Checkpoints(folder)
    checkpoints.claim({**asdict(settings), **job.identity, "examples": len(job.examples), "half": half})
    last = checkpoints.last()
    recorder = _recorder(job, folder, settings, checkpoints=checkpoints, last=last, report=report)
    with quiet():
        _run(job, recorder, settings=settings, checkpoints=checkpoints, last=last, half=half)
    done = last if (newest := checkpoints.last()) is None else newest
    return Trained(
        steps=done.step if done else 0,
        seconds=recorder.seconds,
        best=recorder.best[0] if recorder.best else (done.step if done else 0),
        start=recorder.start,
        dev=recorder.best[1] if recorder.best else {},
        resumed=last.step if last else None,
        stopped="minutes" if recorder.stopped == "minutes" else "epochs",
        precision="bf16" if half else "fp32",
        memory=memory,
    )


def _recorder(
    job: Job,
    folder: Path,
    settings: Training,
    *,
    checkpoints: Checkpoints,
    last: Checkpoint | None,
    report: Callable[[Progress], None] | None,
) -> Recorder:
    steps = math.ceil(settings.epochs * math.ceil(len(job.examples) / settings.batch))
    return Recorder(
        Plan(steps, settings.checkpoints, settings.minutes, settings.warmup),
        model=job.model,
        look=job.look,
        checkpoints=checkpoints,
        curves=Curves(folder / CURVES, upto=last.step if last else None),
        last=last,
        report=report,
    )


def _run(
    job: Job,
    recorder: Recorder,
    *,
    settings: Training,
    checkpoints: Checkpoints,
    last: Checkpoint | None,
    half: bool,
) -> None:
    """The steps; afterwards the model has the best weights, and is as it was but for them."""
    from transformers import set_seed

    set_seed(settings.seed)
    device = training_device()
    trainer = make_trainer(
        job.model,
        job.examples,
        collate=job.collate,
        loss=job.loss,
        recorder=recorder,
        scratch=checkpoints.scratch,
        arguments={
            "per_device_train_batch_size": settings.batch,
            "learning_rate": settings.learning_rate,
            "seed": settings.seed,
            "data_seed": settings.seed,
            "bf16": half,
            "use_cpu": device.type == "cpu",
            "remove_unused_columns": False,
            "dataloader_pin_memory": device.type == "cuda",
        },
    )
    if last is None:
        recorder.begin()
    if last is None or not recorder.stopped:
        trainer.train(resume_from_checkpoint=str(last.folder) if last else None)
    # the autocast that accelerate put around `forward` goes with it
    trainer.accelerator.unwrap_model(job.model, keep_fp32_wrapper=False)
    if recorder.best is not None:
        checkpoints.read_best(job.model)
    elif last is not None and recorder.stopped:
        read_weights(job.model, last.folder / WEIGHTS)
    job.model.eval()
