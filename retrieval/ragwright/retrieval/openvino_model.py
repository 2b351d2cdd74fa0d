"""The OpenVINO side of the encoder: the only importer of `openvino`.

The torch module is converted once per model and kept in the workspace with its compiled form; from then on
neither torch nor transformers is imported.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import Batch, ModelInput, Receive, make_batches, pool
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.torch_model import load_module, traceable

_Take = Callable[[Batch, NDArray[np.float32]], None]

# On two cores and batches of about 1,000 tokens, two streams of one core each were 18 % faster than one
# stream of two (MiniLM, bf16, medians of three runs each).
_MOST_STREAMS = 8
_BATCH_TOKENS = 1024


class OpenVinoForward:
    """Runs batches through OpenVINO on the CPU, several at a time; any number of threads may call `run`."""

    def __init__(
        self, model: ModelFolder, compute: Compute, *, head: bool = False, quantised: Path | None = None
    ) -> None:
        """Load a model, after converting it where that was not done before.

        Args:
            model: The model folder.
            compute: How it is run.
            head: Whether it scores sequences, instead of giving token vectors.
            quantised: Folder of its int8 form, which is loaded in its place.
        """
        openvino = _import_openvino()
        threads = compute.threads or _cores()
        streams = min(threads, _MOST_STREAMS)
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": _precision(core, compute.precision),
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
        }
        if quantised:
            compiled = _compile_quantised(core, quantised, settings)
        else:
            folder = _converted(openvino, model, compute, head=head)
            try:
                compiled = _compile(core, folder, settings)
            except RuntimeError as error:
                _renew(openvino, model, folder, core=core, error=error, head=head)
                compiled = _compile(core, folder, settings)
        self._head = head
        self._typed = len(compiled.inputs) > 2
        self._budget = compute.batch_tokens or _BATCH_TOKENS
        self._positions = model.positions
        self._padding = model.padding
        # A request serves one caller at a time, and its output is overwritten by the next.
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())
        # A question does not wait until a thousand passages are encoded, only for the batches at work.
        self._short, self._long = (_Queue(openvino, compiled, streams) for _ in range(2))

    def run(self, inputs: Sequence[ModelInput], receive: Receive) -> None:
        """See `Forward.run`."""
        batches = make_batches(inputs, budget=self._budget, longest=self._positions, padding=self._padding)

        def take(batch: Batch, outputs: NDArray[np.float32]) -> None:
            for place, row in enumerate(batch.rows):
                output = outputs[place]
                receive(int(row), output if self._head else pool(output, inputs[row].ranges))

        if len(batches) == 1:
            self._run_one(batches[0], take)
        elif batches:
            tokens = sum(batch.ids.size for batch in batches)
            self._run_many(batches, take, self._short if tokens <= self._budget else self._long)

    def _arrays(self, batch: Batch) -> list[NDArray[np.int64]]:
        return [batch.ids, batch.mask, batch.types] if self._typed else [batch.ids, batch.mask]

    def _run_one(self, batch: Batch, take: _Take) -> None:
        request = self._requests.get()
        try:
            outputs = request.infer(self._arrays(batch), share_inputs=True, share_outputs=True)
            take(batch, outputs[0])
        finally:
            self._requests.put(request)

    def _run_many(self, batches: Sequence[Batch], take: _Take, queue: _Queue) -> None:
        failures: list[BaseException] = []
        with queue.lock:
            try:
                for batch in batches:
                    work = (take, batch, failures)
                    queue.requests.start_async(self._arrays(batch), work, share_inputs=True)
            finally:  # the requests read the batches' own memory
                queue.requests.wait_all()
        if failures:
            raise failures[0]


class _Queue:
    """Requests that run side by side; waiting for one waits for all, so one caller has them at a time."""

    def __init__(self, openvino: Any, compiled: Any, streams: int) -> None:
        self.lock = Lock()
        self.requests: Any = openvino.AsyncInferQueue(compiled, streams)
        self.requests.set_callback(_done)


def _done(request: Any, work: tuple[_Take, Batch, list[BaseException]]) -> None:
    take, batch, failures = work
    try:
        take(batch, request.get_output_tensor(0).data)
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        failures.append(error)


def save_changed(model: ModelFolder, compute: Compute, folder: Path, *, change: Callable[[Any], Any]) -> None:
    """Write a changed form of a converted model.

    Args:
        model: The model folder.
        compute: Where its conversion is kept.
        folder: Gets `model.xml` and `model.bin`.
        change: From OpenVINO's model to another one.
    """
    openvino = _import_openvino()
    source = _converted(openvino, model, compute, head=False)
    changed = change(openvino.Core().read_model(str(source / "model.xml")))
    openvino.save_model(changed, str(folder / "model.xml"), compress_to_fp16=False)


def _converted(openvino: Any, model: ModelFolder, compute: Compute, *, head: bool) -> Path:
    """Folder of the converted model; it is converted when that was not done before."""
    release = openvino.__version__.split("-")[0]
    kind = "openvino-head" if head else "openvino"
    folder = compute.cache / f"{model.fingerprint}-{kind}-{release}"
    if not (folder / "model.xml").is_file():
        _convert(openvino, model, folder, head=head)
    return folder


def _compile_quantised(core: Any, folder: Path, settings: dict[str, Any]) -> Any:
    try:
        return _compile(core, folder, settings)
    except RuntimeError as error:
        raise ModelError(
            f"OpenVINO cannot compile the int8 model in {folder}: {error}; "
            "look at encoder.threads, or run: ragwright quantize"
        ) from None


def _compile(core: Any, folder: Path, settings: dict[str, Any]) -> Any:
    core.set_property({"CACHE_DIR": str(folder / "compiled")})
    return core.compile_model(str(folder / "model.xml"), "CPU", settings)


def _renew(
    openvino: Any, model: ModelFolder, folder: Path, *, core: Any, error: RuntimeError, head: bool
) -> None:
    """Convert again what cannot be read.

    Raises:
        ModelError: It can be read, so that it did not cause the error; other processes may be using it.
    """
    if _is_readable(core, folder):
        raise ModelError(
            f"OpenVINO cannot compile {model.name} from {folder}: {error}; "
            "look at encoder.threads and encoder.precision, or set encoder.backend=torch"
        ) from None
    _discard(folder)
    _convert(openvino, model, folder, head=head)


def _is_readable(core: Any, folder: Path) -> bool:
    try:
        core.read_model(str(folder / "model.xml"))
    except RuntimeError:
        return False
    return True


def _discard(folder: Path) -> None:
    """Take a damaged conversion away in one rename, so that no other process sees half of it."""
    grave = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".damaged-"))
    with suppress(FileNotFoundError):  # another process may have been quicker
        folder.rename(grave / folder.name)
    shutil.rmtree(grave, ignore_errors=True)


def _import_openvino() -> Any:
    # OpenVINO reports its import and every conversion to a statistics service when this package is
    # importable; without it, it uses its own silent stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _precision(core: Any, wanted: str) -> str:
    if wanted in ("auto", "int8"):  # what is not integers in an int8 model
        capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if capable else "f32"
    return {"fp32": "f32", "bf16": "bf16"}[wanted]


def _convert(openvino: Any, model: ModelFolder, folder: Path, *, head: bool) -> None:
    """Convert the torch module and put the result into the cache in one rename."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    module, example = traceable(load_module(model, head=head), head=head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about shapes that stay dynamic in the result
        converted = openvino.convert_model(module, example_input=example)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".convert-"))
    try:
        openvino.save_model(converted, str(scratch / "model.xml"), compress_to_fp16=False)
        scratch.chmod(0o755)
        scratch.rename(folder)
    except OSError:
        if not (folder / "model.xml").is_file():  # another process may have been quicker
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
