"""Torch on one device: packed or padded, in batches that shrink when memory is short; results stay."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ragwright.core.errors import ModelError
from ragwright.core.types import Passage
from ragwright.retrieval.batches import ModelInput, make_packed
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL, ModelFolder, open_model
from ragwright.retrieval.packed_model import PackedModel
from ragwright.retrieval.query_graph import QueryGraphs
from ragwright.retrieval.token_budget import TokenBudget, default_tokens
from ragwright.retrieval.torch_model import TorchForward, load_module

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TEXTS = [
    "short",
    "Torque the bolts of the lower pump to 40 Nm. " * 5,
    "Seal it. Then check the gasket twice.",
]
MakeModel = Callable[..., ModelFolder]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save_small_model(folder: Path, family: str, *, head: bool = False) -> ModelFolder:
    """A model with made-up weights, 50 words and 64 positions."""
    import transformers
    from tokenizers import Tokenizer, models

    config = getattr(transformers, f"{family}Config")(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=64, initializer_range=0.5, num_labels=1, pad_token_id=1, bos_token_id=2,
        cls_token_id=2, eos_token_id=3, sep_token_id=3,
    )  # fmt: skip
    torch.manual_seed(0)
    kind = f"{family}ForSequenceClassification" if head else f"{family}Model"
    getattr(transformers, kind)(config).save_pretrained(folder)
    Tokenizer(models.WordLevel({"w": 3}, unk_token="w")).save(str(folder / "tokenizer.json"))
    return open_model(str(folder))


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Save a model with made-up weights."""

    def make(family: str = "Bert", *, head: bool = False) -> ModelFolder:
        return save_small_model(tmp_path_factory.mktemp(family), family, head=head)

    return make


def _inputs(lengths: list[int]) -> list[ModelInput]:
    random = np.random.default_rng(1)
    return [
        ModelInput(random.integers(5, 50, length), np.array([[0, length], [length // 2, length], [0, 1]]))
        for length in lengths
    ]


INPUTS = _inputs([3, 30, 17, 30, 8, 1, 44, 12])


def _run(forward: TorchForward, inputs: list[ModelInput]) -> list[np.ndarray]:
    received: dict[int, np.ndarray] = {}

    def receive(row: int, found: np.ndarray) -> None:
        assert row not in received
        received[row] = found.copy()

    forward.run(inputs, receive)
    assert sorted(received) == list(range(len(inputs)))
    return [received[row] for row in sorted(received)]


def _close(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, its, atol=2e-5)


def _forward(model: ModelFolder, cache: Path, **options: Any) -> TorchForward:
    tokens = options.pop("batch_tokens", 0)
    precision = options.pop("precision", "fp32")
    compute = Compute(cache=cache, backend="torch", precision=precision, batch_tokens=tokens)
    return TorchForward(model, compute, device="cpu", **options)


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_the_default_model_gives_the_vectors_of_sentence_transformers(tmp_path: Path, packed: bool) -> None:
    from sentence_transformers import SentenceTransformer

    model = open_model(DEFAULT_MODEL)
    forward = _forward(model, tmp_path, packed=packed)
    assert (forward.packed, forward.why_padded) == (packed, "")
    encoder = TransformerEncoder(model, lambda: forward, call_tokens=1)
    expected = SentenceTransformer(str(model.path), device="cpu").encode(TEXTS)
    found = np.stack([each.vector for each in encoder.encode_passages([Passage(text) for text in TEXTS])])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_on_the_cpu_sequences_are_padded_and_get_the_same_bits_in_any_company(
    tmp_path: Path, small_model: MakeModel
) -> None:
    forward = _forward(small_model(), tmp_path)
    assert (forward.packed, forward.why_padded, forward.budget.tokens) == (False, "", 1_024)
    together = _run(forward, INPUTS)
    for place, each in enumerate(INPUTS):
        (alone,) = _run(forward, [each])
        np.testing.assert_array_equal(alone, together[place])
    assert _run(forward, []) == []


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("family", ["Bert", "XLMRoberta", "ModernBert"])
def test_packed_or_padded_a_saved_model_gives_the_same(
    tmp_path: Path, small_model: MakeModel, family: str, head: bool
) -> None:
    model = small_model(family, head=head)
    packed = _forward(model, tmp_path, head=head, packed=True, batch_tokens=50)
    assert packed.packed, packed.why_padded
    expected = _run(_forward(model, tmp_path, head=head), INPUTS)
    assert expected[0].shape == ((1,) if head else (3, 32))
    _close(_run(packed, INPUTS), expected)


def test_a_model_that_cannot_be_packed_says_so_once(
    tmp_path: Path, small_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    model = small_model("MPNet")
    with caplog.at_level(logging.INFO, "ragwright"):
        forward = _forward(model, tmp_path, packed=True)
        found = _run(forward, INPUTS)
    assert not forward.packed
    assert "attention interface" in forward.why_padded
    assert [record.message for record in caplog.records if record.name == "ragwright"] == [
        f"{model.name} is computed padded: {forward.why_padded}"
    ]
    _close(found, _run(_forward(model, tmp_path), INPUTS))


def test_tokens_that_the_others_do_not_see_are_computed_padded_by_the_same_weights_and_it_is_said_once(
    tmp_path: Path, small_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    model = small_model()
    filled = [replace(each, attended=len(each.ids) // 2 + 1) for each in INPUTS[::2]]
    mixed = [each for pair in zip(filled, INPUTS[1::2], strict=True) for each in pair]
    with caplog.at_level(logging.INFO, "ragwright"):
        packed = _forward(model, tmp_path, packed=True)
        found = [_run(packed, mixed), _run(packed, mixed)]
        expected = _run(_forward(model, tmp_path), mixed)
    assert packed.packed
    for each in found:
        _close(each, expected)
    assert abs(expected[0] - _run(packed, INPUTS)[0]).max() > 1e-3, "what is hidden makes a difference"
    assert [record.message for record in caplog.records if record.name == "ragwright"] == [
        f"{model.name}: questions filled up with tokens that the others do not see are computed padded"
    ]
    twin, own = packed._unpacked()._module, packed._model._module
    assert all(a is b for a, b in zip(twin.parameters(), own.parameters(), strict=True))


def _small_memory(forward: TorchForward, monkeypatch: pytest.MonkeyPatch, tokens: int) -> list[int]:
    """Let the device hold so many tokens only; the sizes of the batches that were tried."""
    launch = forward._model.launch
    tried: list[int] = []

    def limited(batch: Any, *others: Any) -> Any:
        tried.append(batch.ids.size)
        if batch.ids.size > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return launch(batch, *others)

    monkeypatch.setattr(forward._model, "launch", limited)
    return tried


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("head", [False, True])
def test_what_does_not_fit_is_computed_in_smaller_batches_with_the_same_results(
    tmp_path: Path, small_model: MakeModel, monkeypatch: pytest.MonkeyPatch, head: bool, packed: bool
) -> None:
    model = small_model(head=head)
    forward = _forward(model, tmp_path, head=head, packed=packed, batch_tokens=70)
    expected = _run(forward, INPUTS)
    tried = _small_memory(forward, monkeypatch, 50)
    _close(_run(forward, INPUTS), expected)
    assert max(tried) > 50
    assert forward.budget.tokens <= 50
    again = _forward(model, tmp_path, head=head, packed=packed, batch_tokens=70)
    assert again.budget.tokens == forward.budget.tokens
    before = len(tried)
    _close(_run(forward, INPUTS), expected)
    assert max(tried[before:]) <= 50, "it is remembered"


def test_a_single_text_that_does_not_fit_is_an_error_that_says_so(
    tmp_path: Path, small_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = _forward(small_model(), tmp_path, packed=True)
    _small_memory(forward, monkeypatch, 40)
    with pytest.raises(ModelError, match=r"a text of 44 tokens does not fit into the memory of cpu"):
        forward.run(INPUTS, lambda row, found: None)


def test_an_error_of_the_receiver_reaches_the_caller_and_the_model_can_go_on(
    tmp_path: Path, small_model: MakeModel
) -> None:
    forward = _forward(small_model(), tmp_path, packed=True, batch_tokens=40)

    def receive(row: int, found: np.ndarray) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        forward.run(INPUTS, receive)
    assert len(_run(forward, INPUTS)) == len(INPUTS)


def test_several_threads_get_what_one_alone_gets(tmp_path: Path, small_model: MakeModel) -> None:
    forward = _forward(small_model(head=True), tmp_path, head=True, packed=True, batch_tokens=60)
    expected = _run(forward, INPUTS)
    start = threading.Barrier(4)

    def ask(_: int) -> list[np.ndarray]:
        start.wait()
        return _run(forward, INPUTS)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(ask, range(4)):
            _close(found, expected)


def test_int8_is_refused_with_what_to_set(tmp_path: Path, small_model: MakeModel) -> None:
    with pytest.raises(ModelError, match=r"set encoder\.backend=openvino"):
        _forward(small_model(), tmp_path, precision="int8")


def test_a_remembered_budget_is_the_models_own_and_a_damaged_file_is_no_budget(tmp_path: Path) -> None:
    TokenBudget(1_000, tmp_path, key="a").halve(600)
    TokenBudget(1_000, tmp_path, key="b").halve(1_000)
    assert [TokenBudget(1_000, tmp_path, key=key).tokens for key in "abc"] == [300, 500, 1_000]
    assert TokenBudget(200, tmp_path, key="a").tokens == 200, "an explicit smaller one stays"
    (file,) = tmp_path.iterdir()
    for content in ("", "[1]", json.dumps({"a": "many", "b": -1})):
        file.write_text(content)
        assert TokenBudget(1_000, tmp_path, key="a").tokens == 1_000
    budget = TokenBudget(1_000, tmp_path, key="a")
    budget.halve(4)
    assert budget.tokens == 2
    assert TokenBudget(1_000, tmp_path, key="a").tokens == 1_000, "a small batch tells of a bad moment"
    TokenBudget(1_000, tmp_path, key="a").halve(1_000)
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "no scratch file is left"


def test_a_large_model_on_a_small_card_begins_with_fewer_tokens() -> None:
    small = SimpleNamespace(hidden_size=384, intermediate_size=1_536)
    large = SimpleNamespace(hidden_size=4_096, intermediate_size=12_288)
    assert default_tokens(small, 130 << 30) == 131_072
    assert 1_024 < default_tokens(large, 12 << 30) < default_tokens(small, 12 << 30)
    assert default_tokens(large, 1 << 20) == 1_024
    assert default_tokens(large, None) == 1_024


def test_where_graphs_do_not_work_queries_are_computed_without(
    small_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    if torch.cuda.is_available():
        pytest.skip("they work here")
    module = load_module(small_model())
    graphs = QueryGraphs(PackedModel(module, head=False, shift=0, positions=64), "cpu")
    (batch,) = make_packed(INPUTS[:1], budget=99)
    with caplog.at_level(logging.INFO, "ragwright"):
        assert graphs.states(batch) is None
        assert graphs.states(batch) is None
    (record,) = caplog.records
    assert record.message.startswith("queries are computed without CUDA graphs: ")


@pytest.mark.gpu
@pytest.mark.parametrize("length", [5, 16, 40, 64])
def test_on_a_card_a_recorded_query_is_the_computed_one(
    tmp_path: Path, small_model: MakeModel, length: int
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no card")
    compute = Compute(cache=tmp_path, backend="torch")
    recorded, computed = (TorchForward(small_model(), compute, graphs=graphs) for graphs in (True, False))
    for inputs in (_inputs([length]), _inputs([length - 1]), _inputs([length])):
        (mine,), (its,) = _run(recorded, inputs), _run(computed, inputs)
        np.testing.assert_allclose(mine, its, atol=0.05 * float(np.abs(its).max()))
