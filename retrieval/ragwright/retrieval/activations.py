"""The functions that follow a linear layer or a score, by the torch class that a model folder names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError

Rows = NDArray[np.float32]
Activation = Callable[[Rows], Rows]
"""By element; the shape stays."""

# Abramowitz and Stegun 1964, "Handbook of Mathematical Functions", formula 7.1.26, highest power first.
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0)
_ERF_SCALE = 0.3275911


def sigmoid(rows: Rows) -> Rows:
    """The logistic function, without overflow on either side."""
    return np.asarray(0.5 * (np.tanh(0.5 * rows) + 1.0), np.float32)


def erf(rows: Rows) -> NDArray[np.float64]:
    """The error function, -1..1, off by at most 1.5e-7: what float32 resolves there."""
    size = np.abs(rows.astype(np.float64))
    tail = np.polyval(_ERF, 1.0 / (1.0 + _ERF_SCALE * size)) * np.exp(-size * size)
    return np.asarray(np.copysign(1.0 - tail, rows))


def gelu(rows: Rows) -> Rows:
    """A number times the probability that a standard normal one is smaller: the form without a tanh.

    Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv:1606.08415.
    """
    return np.asarray(0.5 * rows * (1.0 + erf(rows * np.float32(0.5**0.5))), np.float32)


_ACTIVATIONS: dict[str, Activation] = {
    "Identity": lambda rows: rows,
    "Tanh": np.tanh,
    "Sigmoid": sigmoid,
    "ReLU": lambda rows: np.maximum(rows, 0.0),
    "SiLU": lambda rows: rows * sigmoid(rows),
    "GELU": gelu,
}


def activation(declared: str, *, path: Path) -> Activation:
    """The activation that a folder names by its torch class, as torch makes it without arguments.

    Raises:
        ModelError: It is none of those that are computed here.
    """
    package, _, name = declared.rpartition(".")
    if name not in _ACTIVATIONS or not package.startswith("torch."):
        raise ModelError(
            f"{path} has the activation {declared}; supported are {', '.join(_ACTIVATIONS)} of torch: "
            "choose another model"
        )
    return _ACTIVATIONS[name]
