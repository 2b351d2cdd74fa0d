"""Makes the int8 form of a transformer: the only importer of `nncf`.

Weights and activations become eight-bit integers. What range an activation needs is seen on sample texts
(post-training quantisation: Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient
inference", arXiv:1806.08342). Beforehand a part of the activations' spread is moved into the weights, since
single channels of a transformer are far larger than the others (Xiao et al. 2023, "SmoothQuant",
arXiv:2211.10438).
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError, MissingExtra
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.openvino_model import save_changed
from ragwright.retrieval.quantised import SCRATCH, QuantisedModel, quantised_in
from ragwright.retrieval.scratch import scratch_folder
from ragwright.retrieval.tokens import ModelTokenizer

# How much of the spread is moved from activations to weights: 0 none, 1 all.
_SMOOTH = 0.5


def check_quantise(compute: Compute) -> None:
    """Refuse what `quantised_draft` could not do, before any work.

    Raises:
        MissingExtra: nncf is not installed.
        ModelError: See `Compute.check_int8`.
    """
    compute.check_int8()
    with _quiet():
        _import_nncf()


@contextmanager
def quantised_draft(model: ModelFolder, compute: Compute, texts: Sequence[str]) -> Iterator[QuantisedModel]:
    """The int8 form of a model, for measuring; gone afterwards unless it was accepted meanwhile.

    What runs that were killed have left of theirs is removed.

    Args:
        model: What is quantised.
        compute: Where it is kept.
        texts: Samples of what will be encoded, prompts included; equal samples give an equal model.

    Raises:
        InputError: There are no texts.
        MissingExtra: nncf is not installed.
        ModelError: See `Compute.check_int8`.
    """
    check_quantise(compute)
    if not texts:
        raise InputError("there is no text to learn the ranges of activations from; ingest documents first")
    compute.cache.mkdir(parents=True, exist_ok=True)
    with scratch_folder(compute.cache, prefix=SCRATCH) as folder:
        samples = _samples(model, texts)
        save_changed(model, compute, folder, change=lambda converted: _quantised(converted, samples))
        yield quantised_in(folder, model)


def _samples(model: ModelFolder, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Token ids, each of shape (1, n), no longer than the model reads."""
    return [each.ids[None, : model.max_tokens] for each in ModelTokenizer(model).encode(list(texts))]


def _quantised(converted: Any, samples: Sequence[NDArray[np.int64]]) -> Any:
    with _quiet():
        nncf = _import_nncf()
        names = [port.get_any_name() for port in converted.inputs]
        return nncf.quantize(
            converted,
            nncf.Dataset(samples, lambda ids: dict(zip(names, (ids, np.ones_like(ids)), strict=True))),
            subset_size=len(samples),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=_kept_float(converted)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=_SMOOTH)
            ),
        )


def _kept_float(converted: Any) -> list[str]:
    """Names of the products that read what GELU gives, in the first half of the layers.

    A few of their inputs are so large that eight bits leave little for the others. Measured with MiniLM: the
    mean cosine to fp32 is 0.998 with these in float and 0.992 without, for 8 to 10 % of the speed; nDCG@10 on
    Cranfield then loses 0.33 points in place of 0.68.
    """
    products = [
        reader.get_node().get_friendly_name()
        for operation in converted.get_ordered_ops()
        if operation.get_type_name() == "Gelu"
        for reader in operation.output(0).get_target_inputs()
        if reader.get_node().get_type_name() == "MatMul"
    ]
    return products[: (len(products) + 1) // 2]


def _import_nncf() -> Any:
    # As with OpenVINO: importable, this package would report every call to a statistics service.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import nncf
    except ImportError:
        raise MissingExtra("nncf", "int8") from None
    nncf.set_log_level(logging.ERROR)
    return nncf


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what nncf draws on the terminal, and the warnings of its libraries, to ourselves."""
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
