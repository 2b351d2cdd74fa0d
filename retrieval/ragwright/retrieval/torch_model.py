"""The torch side of the encoder: loading a model, and running batches through it on a card or the CPU."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Lock
from typing import Any

import numpy as np

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import Ints, ModelInput, Receive
from ragwright.retrieval.first_token import spare_last_layer
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.memory import Once
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.packed_model import PackedModel, place
from ragwright.retrieval.padded_model import PaddedModel
from ragwright.retrieval.query_graph import QueryGraphs
from ragwright.retrieval.token_budget import TokenBudget, default_tokens
from ragwright.retrieval.transfer import Returning, Wanted, means, to_device
from ragwright.retrieval.varlen_attention import PackingError

_Model = PackedModel | PaddedModel


def load_module(model: ModelFolder, *, head: bool = False) -> Any:
    """The transformer as a `torch.nn.Module` in fp32 evaluation mode, with its scoring head or without any.

    Only safetensors weights are read, and no code from the folder is run. Its attribute `reads_types` says
    whether it is given token types.
    """
    with _quiet():
        from safetensors import SafetensorError
        from transformers import AutoModel, AutoModelForSequenceClassification

        try:
            kind = AutoModelForSequenceClassification if head else AutoModel
            module = kind.from_pretrained(
                str(model.path),
                dtype="float32",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(f"model folder {model.path} cannot be loaded: {error}") from None
    if model.lora is not None:
        from ragwright.retrieval.lora import add_weights

        add_weights(module, model.lora)
    module.config.use_cache = False  # decoders would keep what only a next token needs
    module.reads_types = (head or model.typed) and takes_types(module)
    return module.eval()


def traceable(module: Any, *, head: bool) -> tuple[Any, tuple[Any, ...]]:
    """A module from ids, mask and, where it reads them, token types to its one output; an example input.

    The output is token vectors, or the head's.
    """
    import torch

    class OneOutput(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            found = self.module(input_ids=input_ids, attention_mask=attention_mask, **types)
            return found.logits if head else found.last_hidden_state

    most = min(100, module.config.vocab_size)
    ids = torch.randint(min(5, most - 1), most, (2, 17))
    types = (torch.zeros_like(ids),) if module.reads_types else ()
    example = (ids, torch.ones_like(ids), *types)
    if head:
        spare_last_layer(module, example)
    return OneOutput().eval(), example


def takes_types(module: Any) -> bool:
    """Whether a model tells the two texts of a pair apart by token types."""
    return getattr(module.config, "type_vocab_size", 0) > 1


def has_cuda() -> bool:
    """Whether torch is installed, was built for CUDA and sees a card."""
    with suppress(ImportError):
        return bool(cards())
    return False


def cards() -> tuple[str, ...]:
    """Names of the cards that torch sees."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return tuple(f"cuda:{number}" for number in range(count))


class TorchForward:
    """Runs batches through torch on one device; for any number of threads.

    On a card sequences are packed without padding, and one batch is computed while the results of the last
    come back. On the CPU they are padded, sequences of one length together, so that a text gets the same bits
    whatever it is computed with.

    Attributes:
        packed: Whether sequences are packed.
        why_padded: Why a model that should be packed is not; "" otherwise.
        budget: How many tokens are computed at once.
    """

    def __init__(
        self,
        model: ModelFolder,
        compute: Compute,
        *,
        head: bool = False,
        device: str | None = None,
        packed: bool | None = None,
        graphs: bool = True,
        module: Any = None,
    ) -> None:
        """Load a model.

        Args:
            model: The model folder.
            compute: How it is run.
            head: Whether it scores sequences with a head.
            device: Name of the device; None takes the first card, else the CPU.
            packed: Whether to pack; None: on a card.
            graphs: Whether single short sequences are computed as CUDA graphs where they can be.
            module: What `load_module` gave; None loads the model's own.

        Raises:
            ModelError: The model cannot be loaded, or not computed in this precision.
        """
        import torch

        if compute.threads:
            torch.set_num_threads(compute.threads)
        self._torch = torch
        self._device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        self._on_card = self._device != "cpu"
        # two batches at once would not fit, and recorded passes write to the same memory
        self._lock: AbstractContextManager[Any] = Lock() if self._on_card else nullcontext()
        self.why_padded = ""
        packed = self._on_card if packed is None else packed
        with self._current():
            module = load_module(model, head=head) if module is None else module
            self._model = self._load(module, model, self._precision(compute), head=head, packed=packed)
            self.packed = isinstance(self._model, PackedModel)
            self.budget = self._token_budget(model, compute, head=head)
        self._name = model.name
        self._unpacked = Once(self._make_unpacked)
        self._graphs = None
        if graphs and self._on_card and not head and isinstance(self._model, PackedModel):
            self._graphs = QueryGraphs(self._model, self._device)

    def run(self, inputs: Sequence[ModelInput], receive: Receive) -> None:
        """See `Forward.run`.

        Raises:
            ModelError: A single sequence does not fit into the card's memory.
        """
        last: Returning | None = None
        for model, rows in self._shares(inputs):
            for returning in self._results(model, inputs, rows):
                if last is not None:
                    last.deliver(receive)
                last = returning
        if last is not None:
            last.deliver(receive)

    def _shares(self, inputs: Sequence[ModelInput]) -> Iterator[tuple[_Model, Ints]]:
        """Which model computes which inputs: tokens that the others do not see cannot be packed."""
        hidden = np.array([self.packed and each.attended is not None for each in inputs], bool)
        yield self._model, np.flatnonzero(~hidden)
        if hidden.any():
            yield self._unpacked(), np.flatnonzero(hidden)

    def _results(self, model: _Model, inputs: Sequence[ModelInput], rows: Ints) -> Iterator[Returning]:
        """Results of one batch after the other; what does not fit is cut again, smaller."""
        while len(rows):
            chosen = [inputs[int(row)] for row in rows]
            waiting = np.ones(len(rows), bool)
            for batch in model.cut(chosen, budget=self.budget.tokens):
                returning = self._try(model, batch, chosen, rows[batch.rows])
                if returning is None:
                    self._make_room(batch)
                    break
                waiting[batch.rows] = False
                yield returning
            rows = rows[waiting]

    def _try(self, model: _Model, batch: Any, inputs: Sequence[ModelInput], rows: Ints) -> Returning | None:
        """A batch's results on their way back; None where the device's memory is too small."""
        try:
            with self._lock, self._current(), self._torch.inference_mode():
                return Returning(*self._launch(model, batch, inputs), rows=rows)
        except self._torch.OutOfMemoryError:
            return None

    def _launch(self, model: _Model, batch: Any, inputs: Sequence[ModelInput]) -> tuple[Any, Ints | None]:
        if self._graphs is not None and model is self._model and len(batch.rows) == 1:
            states = self._graphs.states(batch)
            if states is not None:
                wanted = Wanted.of(inputs, batch.rows, batch.edges[:-1])
                return means(states, wanted, to_device(wanted.arrays, self._device)), wanted.bounds
        return model.launch(batch, inputs, self._device)

    def _make_unpacked(self) -> PaddedModel:
        assert isinstance(self._model, PackedModel)  # else nothing is left out of it
        logging.getLogger("ragwright").info(
            "%s: questions filled up with tokens that the others do not see are computed padded", self._name
        )
        return self._model.padded()

    def _make_room(self, batch: Any) -> None:
        """Halve the budget.

        Raises:
            ModelError: The batch was a single sequence.
        """
        if len(batch.rows) == 1:
            raise ModelError(
                f"a text of {batch.ids.size} tokens does not fit into the memory of {self._device}; lower "
                "chunk.tokens, free the card, or set encoder.model to a smaller one"
            )
        self.budget.halve(batch.ids.size)
        if self._on_card:
            self._torch.cuda.empty_cache()

    def _current(self) -> AbstractContextManager[Any]:
        """Makes the card the thread's own: streams and events are the current card's."""
        return self._torch.cuda.device(self._device) if self._on_card else nullcontext()

    def _precision(self, compute: Compute) -> Any:
        if compute.precision == "int8":
            raise ModelError(
                "encoder.precision is int8, which OpenVINO alone computes; set encoder.backend=openvino, or "
                "encoder.precision=auto"
            )
        native = self._on_card and self._torch.cuda.is_bf16_supported(including_emulation=False)
        half = compute.precision == "bf16" or (compute.precision == "auto" and native)
        return self._torch.bfloat16 if half else self._torch.float32

    def _load(
        self, module: Any, model: ModelFolder, dtype: Any, *, head: bool, packed: bool
    ) -> PackedModel | PaddedModel:
        try:
            if packed:
                return self._pack(module, model, head=head, dtype=dtype)
        except PackingError as error:
            self.why_padded = str(error)
            logging.getLogger("ragwright").info("%s is computed padded: %s", model.name, error)
        except self._torch.OutOfMemoryError:
            raise self._too_large(model) from None
        return self._pad(module, model, head=head, dtype=dtype)

    def _pad(self, module: Any, model: ModelFolder, *, head: bool, dtype: Any) -> PaddedModel:
        try:
            place(module, self._device, dtype)
        except self._torch.OutOfMemoryError:
            raise self._too_large(model) from None
        return PaddedModel(module, head=head, positions=model.positions)

    def _too_large(self, model: ModelFolder) -> ModelError:
        return ModelError(
            f"{model.name} does not fit into the memory of {self._device}; free it, or set encoder.model "
            "to a smaller one"
        )

    def _pack(self, module: Any, model: ModelFolder, *, head: bool, dtype: Any) -> PackedModel:
        if self._on_card and dtype == self._torch.float32:
            raise PackingError("attention for packed batches needs encoder.precision=bf16 on a card")
        shift = getattr(module.config, "max_position_embeddings", model.positions) - model.positions
        with _quiet():
            packed = PackedModel(module, head=head, shift=shift, positions=model.positions)
            packed.place(self._device, dtype)
        return packed

    def _token_budget(self, model: ModelFolder, compute: Compute, *, head: bool) -> TokenBudget:
        torch = self._torch
        free = torch.cuda.mem_get_info(self._device)[0] if self._on_card else None
        name = torch.cuda.get_device_name(self._device) if self._on_card else "cpu"
        parts = (model.fingerprint, "head" if head else "", compute.precision, name, str(self.packed))
        tokens = compute.batch_tokens or default_tokens(self._model.config, free)
        return TokenBudget(tokens, compute.cache, key=" ".join(parts))


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
            os.environ.pop("TQDM_DISABLE", None)  # another load may have been quicker
        else:
            os.environ["TQDM_DISABLE"] = before
