"""The libraries' trainers, made to write what we resume from: the only importer of their training parts."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragwright.core.errors import MissingExtra
from ragwright.finetune.checkpoints import WEIGHTS, read_weights, write_weights
from ragwright.finetune.recorder import Recorder

_CPU_BF16 = ("avx512_bf16", "amx_bf16", "amx_tile", "bf16")
_PACKAGES = ("torch", "transformers", "sentence_transformers", "accelerate", "datasets")


def check_libraries() -> None:
    """Raise `MissingExtra` unless everything that trains can be imported."""
    from importlib.util import find_spec

    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra(package.replace("_", "-"), "tune")


def training_device() -> Any:
    """The torch device that trains: the first card, else the processor."""
    import torch

    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def native_bf16(device: Any) -> bool:
    """Whether a device computes bf16 in hardware."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # before torch 2.8 the processor cannot be asked
    asked: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(asked.get(name) for name in _CPU_BF16)


def make_trainer(
    model: Any,
    rows: Sequence[Any],
    *,
    collate: Callable[[list[Any]], dict[str, Any]] | None,
    loss: Any | None,
    recorder: Recorder,
    scratch: Path,
    arguments: Mapping[str, Any],
) -> Any:
    """A trainer that tells a recorder of its steps and leaves its checkpoints to it.

    Args:
        model: Its kind chooses the trainer.
        rows: What `collate` takes; without one, mappings from column to value.
        collate: Makes a batch of some rows.
        loss: For the trainers of sentence-transformers.
        recorder: Follows the training.
        scratch: Where checkpoints are written.
        arguments: More of the trainer's arguments.
    """
    from transformers import PrinterCallback

    kind, settings = _kinds(model)
    steps = recorder.plan.steps
    own: dict[str, Any] = {"output_dir": str(scratch), "max_steps": steps, "disable_tqdm": True}
    silent = dict.fromkeys(("save_strategy", "logging_strategy", "eval_strategy"), "no")
    more = {} if loss is None else {"loss": loss}
    if collate is not None:
        more["data_collator"] = _Collate(rows, collate)
    trainer = _ours(kind, recorder)(
        model=model,
        args=settings(**own, **silent, report_to="none", logging_nan_inf_filter=False, **arguments),
        train_dataset=_dataset(model, rows, numbered=collate is not None),
        **more,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_following(recorder))
    return trainer


class _Collate:
    """A collator over row numbers, with what the trainers of sentence-transformers ask theirs for."""

    def __init__(self, rows: Sequence[Any], collate: Callable[[list[Any]], dict[str, Any]]) -> None:
        self._rows, self._collate = rows, collate
        self.valid_label_columns = ["label"]
        self.prompts, self.router_mapping = None, None

    def __call__(self, numbers: list[Mapping[str, int]]) -> dict[str, Any]:
        return self._collate([self._rows[each["row"]] for each in numbers])


class _Numbers:
    """As many row numbers as there are rows: a data set for the plain trainer."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Mapping[str, int]:
        return {"row": number}


def _dataset(model: Any, rows: Sequence[Any], *, numbered: bool) -> Any:
    """What the trainer of a model draws from: row numbers, or the rows themselves."""
    if numbered and not _is_sentence_model(model):
        return _Numbers(len(rows))
    import datasets

    if numbered:
        return datasets.Dataset.from_dict({"row": list(range(len(rows)))})
    return datasets.Dataset.from_list([dict(row) for row in rows])


def _is_sentence_model(model: Any) -> bool:
    """Whether a model is one of sentence-transformers, which takes seconds to import."""
    return any(each.__module__.startswith("sentence_transformers.") for each in type(model).__mro__)


def _kinds(model: Any) -> tuple[Any, Any]:
    """The trainer of a model and the class of its arguments."""
    if not _is_sentence_model(model):
        import transformers

        return transformers.Trainer, transformers.TrainingArguments
    import sentence_transformers as library

    if isinstance(model, library.CrossEncoder):
        from sentence_transformers.cross_encoder.trainer import CrossEncoderTrainer
        from sentence_transformers.cross_encoder.training_args import CrossEncoderTrainingArguments

        return CrossEncoderTrainer, CrossEncoderTrainingArguments
    return library.SentenceTransformerTrainer, library.SentenceTransformerTrainingArguments


def _ours(kind: Any, recorder: Recorder) -> Any:
    """A trainer that writes and reads the trained weights alone, and whose step size knows the time."""

    class Ours(kind):  # type: ignore[misc]
        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            write_weights(self.model, Path(output_dir or self.args.output_dir) / WEIGHTS)

        def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
            read_weights(self.model, Path(checkpoint) / WEIGHTS)

        def add_model_card_callback(self, default_args_dict: Mapping[str, Any]) -> None:
            """The card is our own; the library's reads the whole data set for it."""

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            from torch.optim.lr_scheduler import LambdaLR

            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, recorder.step_size)
            self._created_lr_scheduler = True
            return self.lr_scheduler

    return Ours


def _following(recorder: Recorder) -> Any:
    from transformers import TrainerCallback

    class Following(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            recorder.stepped(state.global_step, control)

        def on_log(self, args: Any, state: Any, control: Any, *, logs: Any, **_: Any) -> None:
            recorder.logged(state.global_step, logs)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            recorder.saved(state.global_step)

    return Following()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what the libraries write to the terminal and warn of, and keep them off any hub."""
    import transformers

    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    others = [logging.getLogger(name) for name in ("sentence_transformers", "accelerate", "datasets")]
    levels = [each.level for each in others]
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for each in others:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), _offline():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()
        for each, before in zip(others, levels, strict=True):
            each.setLevel(before)


@contextmanager
def _offline() -> Iterator[None]:
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("HF_HUB_OFFLINE", None)
        else:
            os.environ["HF_HUB_OFFLINE"] = before
