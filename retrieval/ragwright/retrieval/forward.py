"""What computes: the protocol of the backends, and the choice of one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import ModelInput, Receive
from ragwright.retrieval.model import ModelFolder

Backend = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "bf16", "fp32", "int8"]

# On the CPU some fifty batches, on a card some eight.
_CPU_CALL_TOKENS = 65_536
_CARD_CALL_TOKENS = 1_048_576

# Characters that are shown of OpenVINO's reason, which may hold whole graphs.
_REASON = 200

_LOGGER = logging.getLogger("ragwright")
# What an NVIDIA driver shows on Linux, and under Windows' subsystem for it.
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/dev/dxg"))


class Forward(Protocol):
    """Token ids to what a model makes of them; `run` may be called from several threads."""

    def run(self, inputs: Sequence[ModelInput], receive: Receive) -> None:
        """Compute inputs, in any order and in batches of its own.

        Args:
            inputs: What is to be computed.
            receive: Called once per input, from any thread, with its place and a float32 array that is only
                valid during the call: the mean token vectors of its ranges, shape (r, dim), or, where the
                model has a head, the head's outputs, shape (labels,).
        """
        ...


@dataclass(frozen=True, slots=True)
class Compute:
    """How a model is run.

    Attributes:
        cache: Folder for converted and compiled models.
        backend: `auto` takes CUDA through torch where there is a card, else OpenVINO, else torch.
        precision: `bf16`, `fp32`, `int8`, or `auto`: bf16 where the hardware computes it natively.
        batch_tokens: Tokens in one batch on the CPU; 0 lets the backend choose. A card chooses for itself.
        threads: CPU threads; 0 takes every core this process may use.
    """

    cache: Path
    backend: Backend = "auto"
    precision: Precision = "auto"
    batch_tokens: int = 0
    threads: int = 0

    def on_card(self) -> bool:
        """Whether a card will compute; without an NVIDIA driver that is known without importing torch."""
        if self.backend == "openvino" or not any(path.exists() for path in _DRIVERS):
            return False
        from ragwright.retrieval.torch_model import has_cuda

        return has_cuda()

    def call_tokens(self) -> int:
        """How many tokens one call should bring so that what computes stays busy."""
        if not self.on_card():
            return _CPU_CALL_TOKENS
        from ragwright.retrieval.torch_model import cards

        return _CARD_CALL_TOKENS * len(cards())

    def check_int8(self) -> None:
        """Refuse int8 where something else than the processor computes.

        Raises:
            ModelError: A card or torch is to compute, and neither runs int8 here.
        """
        if self.backend == "torch" or self.on_card():
            raise ModelError(
                "encoder.precision=int8 is run by OpenVINO on the processor; set encoder.backend=openvino, "
                "or encoder.precision=auto"
            )

    def loader(
        self, model: ModelFolder, *, head: bool = False, quantised: Path | None = None
    ) -> Callable[[], Forward]:
        """What loads a model's weights when they are first needed.

        Args:
            model: The model folder.
            head: Whether the model scores sequences with a head, instead of giving token vectors.
            quantised: Folder of its int8 form; a model without one is run in `auto` where int8 is configured.
        """
        return lambda: self._load(model, head, quantised)

    def _load(self, model: ModelFolder, head: bool, quantised: Path | None) -> Forward:
        if quantised is None and (self.backend == "torch" or (self.backend == "auto" and self.on_card())):
            return self._torch(model, head)
        wanted = self.backend == "openvino" or quantised is not None
        try:
            from ragwright.retrieval.openvino_model import OpenVinoForward

            return OpenVinoForward(model, self, head=head, quantised=quantised)
        except ImportError as error:
            if error.name != "openvino":
                raise
            if wanted:
                raise ModelError(
                    "openvino is not installed; run: pip install openvino, or set encoder.backend=torch"
                ) from None
        except RuntimeError as error:  # so it says that it cannot convert a model
            reason = " ".join(str(error).split())[:_REASON]
            if wanted:
                raise ModelError(
                    f"OpenVINO cannot convert {model.name}: {reason}; set encoder.backend=torch"
                ) from None
            _LOGGER.warning("%s is run by torch, since OpenVINO cannot convert it: %s", model.name, reason)
        return self._torch(model, head)

    def _torch(self, model: ModelFolder, head: bool) -> Forward:
        from ragwright.retrieval.torch_model import TorchForward, cards

        devices = cards()
        if len(devices) > 1:
            from ragwright.retrieval.cards import CardsForward

            return CardsForward(model, self, devices=devices, head=head)
        return TorchForward(model, self, head=head)
