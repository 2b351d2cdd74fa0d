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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import Batch
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.torch_model import Receive, load_module, traceable

# On two cores and batches of about 1,000 tokens, two streams of one core each were 18 % faster than one
# stream of two (MiniLM, bf16, medians of three runs each).
_MOST_STREAMS = 8


class OpenVinoForward:
    """Runs batches through OpenVINO on the CPU, several at a time; any number of threads may call `run`."""

    def __init__(self, model: ModelFolder, *, cache: Path, precision: str, threads: int) -> None:
        openvino = _import_openvino()
        folder = cache / f"{model.fingerprint}-openvino-{openvino.__version__.split('-')[0]}"
        threads = threads or _cores()
        streams = min(threads, _MOST_STREAMS)
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": _precision(core, precision),
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
        }
        if not (folder / "model.xml").is_file():
            _convert(openvino, model, folder)
        try:
            compiled = _compile(core, folder, settings)
        except RuntimeError as error:
            _renew(openvino, model, folder, core=core, error=error)
            compiled = _compile(core, folder, settings)
        # A request serves one caller at a time, and its output is overwritten by the next.
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())
        # Waiting for the queue waits for everyone's batches, so it belongs to one caller at a time.
        self._lock = Lock()
        self._queue: Any = openvino.AsyncInferQueue(compiled, streams)
        self._queue.set_callback(_done)

    def run(self, batches: Sequence[Batch], receive: Receive) -> None:
        """Call `receive` with each batch and its token vectors, float32, shape (b, length, dim).

        The calls come in any order and may come from other threads; the array is only valid during the
        call.
        """
        if len(batches) == 1:
            self._run_one(batches[0], receive)
        elif batches:
            self._run_many(batches, receive)

    def _run_one(self, batch: Batch, receive: Receive) -> None:
        request = self._requests.get()
        try:
            outputs = request.infer([batch.ids, batch.mask], share_inputs=True, share_outputs=True)
            receive(batch, outputs[0])
        finally:
            self._requests.put(request)

    def _run_many(self, batches: Sequence[Batch], receive: Receive) -> None:
        failures: list[BaseException] = []
        with self._lock:
            try:
                for batch in batches:
                    self._queue.start_async(
                        [batch.ids, batch.mask], (receive, batch, failures), share_inputs=True
                    )
            finally:  # the requests read the batches' own memory
                self._queue.wait_all()
        if failures:
            raise failures[0]


def _done(request: Any, work: tuple[Receive, Batch, list[BaseException]]) -> None:
    receive, batch, failures = work
    try:
        receive(batch, request.get_output_tensor(0).data)
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        failures.append(error)


def _compile(core: Any, folder: Path, settings: dict[str, Any]) -> Any:
    core.set_property({"CACHE_DIR": str(folder / "compiled")})
    return core.compile_model(str(folder / "model.xml"), "CPU", settings)


def _renew(openvino: Any, model: ModelFolder, folder: Path, *, core: Any, error: RuntimeError) -> None:
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
    _convert(openvino, model, folder)


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
    if wanted == "auto":
        capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if capable else "f32"
    return {"fp32": "f32", "bf16": "bf16"}[wanted]


def _convert(openvino: Any, model: ModelFolder, folder: Path) -> None:
    """Convert the torch module and put the result into the cache in one rename."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    module, example = traceable(load_module(model))
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
