"""The torch side of the encoder: the only importer of `torch` and `transformers` in retrieval."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import Batch
from ragwright.retrieval.model import ModelFolder

Receive = Callable[[Batch, NDArray[np.float32]], None]


def load_module(model: ModelFolder) -> Any:
    """The transformer without heads as a `torch.nn.Module` in fp32 evaluation mode.

    Only safetensors weights are read, and no code from the folder is run.
    """
    with _quiet():
        from safetensors import SafetensorError
        from transformers import AutoModel

        try:
            module = AutoModel.from_pretrained(
                str(model.path),
                dtype="float32",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(f"model folder {model.path} cannot be loaded: {error}") from None
    return module.eval()


def traceable(module: Any) -> tuple[Any, tuple[Any, Any]]:
    """A module from ids and mask to token vectors, and an example input, for converters."""
    import torch

    class TokenVectors(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.module(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    most = min(100, module.config.vocab_size)
    ids = torch.randint(min(5, most - 1), most, (2, 17))
    return TokenVectors().eval(), (ids, torch.ones_like(ids))


def has_cuda() -> bool:
    """Whether torch is installed, was built for CUDA and sees a card."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


class TorchForward:
    """Runs batches through torch on the best device that is there; for any number of threads."""

    def __init__(self, model: ModelFolder, *, precision: str, threads: int) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        bf16 = precision == "bf16" or (precision == "auto" and self._device == "cuda")
        self._module = load_module(model).to(self._device, torch.bfloat16 if bf16 else torch.float32)

    def run(self, batches: Sequence[Batch], receive: Receive) -> None:
        """Call `receive` with each batch and its token vectors, float32, shape (b, length, dim)."""
        torch = self._torch
        with torch.inference_mode():
            for batch in batches:
                ids = torch.from_numpy(batch.ids).to(self._device)
                mask = torch.from_numpy(batch.mask).to(self._device)
                states = self._module(input_ids=ids, attention_mask=mask).last_hidden_state
                receive(batch, states.float().cpu().numpy())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the load report and progress bars that transformers writes to the terminal."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    logger = logging.getLogger("transformers")
    level = logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import transformers

            transformers.logging.disable_progress_bar()
            logger.setLevel(logging.ERROR)
            yield
    finally:
        logger.setLevel(level)
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before
