"""What is uploaded is encoded as any other text, in calls between which queries have their turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.app.conftest import loaded_once

from ragwright.app.live_index import PatientEncoder, _parts
from ragwright.core.types import Encoding, Passage
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL

SENTENCE = "The crane on the east quay lifts forty tons. "


@given(lengths=st.lists(st.integers(1, 60), max_size=30), characters=st.integers(1, 100))
def test_passages_are_parted_in_order_and_a_part_is_short_or_one_passage(
    lengths: list[int], characters: int
) -> None:
    passages = [Passage("x" * length) for length in lengths]
    parts = list(_parts(passages, characters=characters))
    assert [each for part in parts for each in part] == passages
    for part in parts:
        assert len(part) == 1 or sum(len(each.text) for each in part) <= characters


def test_vectors_are_those_of_the_encoder_and_long_passages_are_encoded_alone(model_cache: Path) -> None:
    encoder = loaded_once(DEFAULT_MODEL, Compute(cache=model_cache, threads=1))
    calls: list[int] = []

    class Noting(PatientEncoder):
        def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
            calls.append(len(passages))
            return encoder.encode_passages(passages)

    noting = Noting(encoder)
    noting.call_tokens = encoder.call_tokens
    patient = PatientEncoder(noting)
    passages = [Passage(SENTENCE * count, ((0, len(SENTENCE)),)) for count in (18, 1, 2, 20, 25, 3)]
    made = patient.encode_passages(passages)
    assert calls == [1, 2, 1, 1, 1]
    assert patient.call_tokens < encoder.call_tokens, "slices that a server that ends can wait for"
    for got, wanted in zip(made, encoder.encode_passages(passages), strict=True):
        assert np.array_equal(got.vector, wanted.vector)
        assert np.array_equal(got.sentences, wanted.sentences)
