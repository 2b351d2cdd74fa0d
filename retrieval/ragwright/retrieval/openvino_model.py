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
from pathlib import Path
from typing import Any

from ragwright.retrieval.batches import Batch
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.torch_model import Receive, load_module, traceable

# Two streams of one core each are 5 % faster than one stream of two on batches of about 1,000 tokens.
_MOST_STREAMS = 8


class OpenVinoForward:
    """Runs batches through OpenVINO on the CPU, several at a time."""

    def __init__(self, model: ModelFolder, *, cache: Path, precision: str, threads: int) -> None:
        openvino = _import_openvino()
        folder = cache / f"{model.fingerprint}-openvino-{openvino.__version__.split('-')[0]}"
        if not (folder / "model.xml").is_file():
            _convert(openvino, model, folder)
        self._threads = threads or _cores()
        try:
            self._compiled = self._compile(openvino, folder, precision)
        except RuntimeError:  # the conversion is damaged
            shutil.rmtree(folder)
            _convert(openvino, model, folder)
            self._compiled = self._compile(openvino, folder, precision)
        self._single = self._compiled.create_infer_request()
        self._queue: Any = openvino.AsyncInferQueue(self._compiled, min(self._threads, _MOST_STREAMS))

    def _compile(self, openvino: Any, folder: Path, precision: str) -> Any:
        core = openvino.Core()
        core.set_property({"CACHE_DIR": str(folder / "compiled")})
        return core.compile_model(
            str(folder / "model.xml"),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _precision(core, precision),
                "INFERENCE_NUM_THREADS": self._threads,
                "NUM_STREAMS": min(self._threads, _MOST_STREAMS),
            },
        )

    def run(self, batches: Sequence[Batch], receive: Receive) -> None:
        """Call `receive` with each batch and its token vectors, float32, shape (b, length, dim).

        The calls come in any order and from other threads, one at a time; the array is only valid during
        the call.
        """
        if len(batches) == 1:
            outputs = self._single.infer(
                [batches[0].ids, batches[0].mask], share_inputs=True, share_outputs=True
            )
            receive(batches[0], outputs[0])
            return
        failures: list[BaseException] = []

        def done(request: Any, batch: Batch) -> None:
            try:
                receive(batch, request.get_output_tensor(0).data)
            except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread below
                failures.append(error)

        self._queue.set_callback(done)
        for batch in batches:
            self._queue.start_async([batch.ids, batch.mask], batch, share_inputs=True)
        self._queue.wait_all()
        if failures:
            raise failures[0]


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
