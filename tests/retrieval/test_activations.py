"""Activations are those of torch, number by number."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import ModelError
from ragwright.retrieval.activations import activation, erf

NUMBERS = st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20)


@given(NUMBERS)
@pytest.mark.parametrize(
    "name",
    ["linear.Identity", *(f"activation.{name}" for name in ("Tanh", "Sigmoid", "ReLU", "SiLU", "GELU"))],
)
def test_an_activation_gives_what_torch_gives(name: str, numbers: list[float]) -> None:
    declared = f"torch.nn.modules.{name}"
    rows = np.array([numbers], np.float32)
    expected = getattr(torch.nn, name.partition(".")[2])()(torch.from_numpy(rows)).numpy()
    found = activation(declared, path=Path())(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=5e-7)


@given(st.floats(-30, 30, width=32))
def test_the_error_function_is_right_to_what_float32_resolves(number: float) -> None:
    (found,) = erf(np.array([number], np.float32))
    assert abs(found - math.erf(number)) < 2e-7


@pytest.mark.parametrize("declared", ["GELU", "mine.activation.GELU", "torch.nn.modules.activation.PReLU"])
def test_what_is_not_computed_here_is_refused_with_what_is(declared: str) -> None:
    with pytest.raises(ModelError, match=r"supported are Identity, .*, GELU of torch"):
        activation(declared, path=Path("folder"))
