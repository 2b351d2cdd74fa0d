"""The backends: any number of threads at once, any size of model; a damaged conversion is mended."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.small_models import small_transformer

from ragwright.core.errors import ModelError
from ragwright.core.types import Encoding, Passage
from ragwright.retrieval import forward
from ragwright.retrieval.batches import ModelInput
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.openvino_model import OpenVinoForward

MODEL = open_model(DEFAULT_MODEL)
INPUTS = [
    ModelInput(np.full(length, 2_000, np.int64), np.array([[0, length], [0, 1]])) for length in (3, 9, 30, 31)
]


@pytest.fixture
def cache(tmp_path: Path, model_cache: Path, encoder: TransformerEncoder) -> Path:
    """The session's cache with the default model converted, in files of its own names."""
    (converted,) = model_cache.glob(f"{encoder.fingerprint}-openvino-*")
    shutil.copytree(converted, tmp_path / "cache" / converted.name, copy_function=_linked)
    return tmp_path / "cache"


def _linked(source: str, target: str) -> str:
    """Another name of a file of many megabytes; a test that changes one puts a new file in its place."""
    Path(target).symlink_to(source)
    return target


def _forward(cache: Path) -> OpenVinoForward:
    return OpenVinoForward(MODEL, Compute(cache=cache, precision="fp32", batch_tokens=32, threads=1))


def _pooled(model: OpenVinoForward, inputs: list[ModelInput]) -> dict[int, np.ndarray]:
    received = {}

    def receive(row: int, vectors: np.ndarray) -> None:
        assert row not in received
        received[row] = vectors.copy()

    model.run(inputs, receive)
    return received


def test_every_input_is_received_once_whether_alone_or_among_others(cache: Path) -> None:
    model = _forward(cache)
    together = _pooled(model, INPUTS)
    assert together.keys() == set(range(len(INPUTS)))
    for place, each in enumerate(INPUTS):
        ((_, vectors),) = _pooled(model, [each]).items()
        assert vectors.shape == (2, MODEL.dimension)
        np.testing.assert_array_equal(vectors, together[place])
    assert _pooled(model, []) == {}


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_of_the_receiver_reaches_the_caller_and_the_model_can_go_on(cache: Path, count: int) -> None:
    model = _forward(cache)

    def receive(row: int, vectors: np.ndarray) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.run(INPUTS[:count], receive)
    assert len(_pooled(model, INPUTS)) == len(INPUTS)


def test_a_short_call_does_not_wait_for_a_long_one(cache: Path) -> None:
    """Questions of several lengths are encoded while somebody's thousand passages are."""
    model = _forward(cache)
    short, received = INPUTS[:2], []
    with model._long.lock, ThreadPoolExecutor(1) as pool:
        done = pool.submit(model.run, short, lambda row, vectors: received.append(row))
        done.result(timeout=20)
    assert sorted(received) == [0, 1]


def test_a_setting_that_openvino_refuses_leaves_the_shared_conversion_alone(cache: Path) -> None:
    (model,) = cache.rglob("model.xml")
    before = model.stat()
    with pytest.raises(ModelError, match="OpenVINO cannot compile all-MiniLM-L6-v2"):
        OpenVinoForward(MODEL, Compute(cache=cache, precision="fp32", threads=-5))
    assert (model.stat().st_ino, model.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_converted_model_is_not_converted_again(cache: Path) -> None:
    (model,) = cache.rglob("model.xml")
    before = model.stat().st_mtime_ns
    _forward(cache)
    assert model.stat().st_mtime_ns == before
    assert [path.name for path in cache.iterdir()] == [model.parent.name], "no scratch folder is left"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("pattern", ["model.xml", "model.bin", "*.blob"])
@pytest.mark.parametrize("keep", [0, 1_000])
def test_a_damaged_conversion_is_made_again(cache: Path, pattern: str, keep: int) -> None:
    expected = _pooled(_forward(cache), INPUTS)
    for damaged in cache.rglob(pattern):
        content = damaged.read_bytes()[:keep]
        damaged.unlink()  # the session's file has the same content under another name
        damaged.write_bytes(content)
    for row, vectors in _pooled(_forward(cache), INPUTS).items():
        np.testing.assert_allclose(vectors, expected[row], atol=1e-4)


QUESTIONS = [f"how tight is bolt {number} " + "of the lower pump " * (number % 9) for number in range(24)]
PASSAGES = [
    Passage(f"Seal {number}. " + "Torque the bolts. " * (number % 11), ((0, len(f"Seal {number}.")),))
    for number in range(24)
]


def _matrix(encodings: list[Encoding]) -> np.ndarray:
    return np.stack([encoding.vector for encoding in encodings])


def _sentences(encodings: list[Encoding]) -> np.ndarray:
    return np.concatenate([encoding.sentences for encoding in encodings])


def _at_once(tasks: Sequence[Callable[[], None]]) -> None:
    """Run every task in its own thread, all at once; the first error is raised."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], None]) -> None:
        start.wait()
        task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(run, task) for task in tasks]:
            future.result()


def _same_bits_from_six_threads(encoder: TransformerEncoder, rounds: int) -> None:
    vectors = np.concatenate([encoder.encode_queries([question]) for question in QUESTIONS])
    encodings = encoder.encode_passages(PASSAGES)

    def ask(thread: int) -> None:
        for turn in range(rounds * len(QUESTIONS)):
            row = (turn * (thread + 1) + thread) % len(QUESTIONS)
            np.testing.assert_array_equal(encoder.encode_queries([QUESTIONS[row]])[0], vectors[row])

    def read(thread: int) -> None:
        for _ in range(rounds):
            results = encoder.encode_passages(PASSAGES[:: 1 - 2 * thread])[:: 1 - 2 * thread]
            np.testing.assert_array_equal(_matrix(results), _matrix(encodings))
            np.testing.assert_array_equal(_sentences(results), _sentences(encodings))

    _at_once(
        [*(partial(ask, thread) for thread in range(4)), *(partial(read, thread) for thread in range(2))]
    )


@pytest.mark.parametrize(
    ("threads", "rounds"),
    [(2, 1), pytest.param(2, 4, marks=pytest.mark.slow), pytest.param(1, 3, marks=pytest.mark.slow)],
)
def test_threads_that_encode_at_once_get_the_bits_of_one_alone(
    model_cache: Path, threads: int, rounds: int
) -> None:
    encoder = load_encoder(
        DEFAULT_MODEL, Compute(backend="openvino", precision="auto", cache=model_cache, batch_tokens=256,
        threads=threads,))  # fmt: skip
    _same_bits_from_six_threads(encoder, rounds=rounds)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_threads_that_encode_at_once_through_torch_get_the_bits_of_one_alone(model_cache: Path) -> None:
    encoder = load_encoder(
        DEFAULT_MODEL,
        Compute(backend="torch", precision="fp32", cache=model_cache, batch_tokens=256, threads=0),
    )
    _same_bits_from_six_threads(encoder, rounds=1)


def _small_model(folder: Path, family: str) -> Path:
    """A model with made-up weights, 50 words and 42 positions."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {f"w{number}": number for number in range(50)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w3"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("w0 $A w2", None, [("w0", 0), ("w2", 2)])
    config = getattr(transformers, f"{family}Config")(
        vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=44,
    )  # fmt: skip
    getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("family", ["Roberta", "MPNet"])
def test_a_small_vocabulary_is_converted_and_padding_keeps_to_the_positions(
    tmp_path: Path, family: str
) -> None:
    folder = str(_small_model(tmp_path / "model", family))
    results = []
    for backend in ("openvino", "torch"):
        small = load_encoder(
            folder,
            Compute(backend=backend, precision="fp32", cache=tmp_path / "cache", batch_tokens=256, threads=1),
        )
        assert small.tokenizer.max_tokens == 42
        results.append(_matrix(small.encode_passages([Passage("w7 w9 " * 20), Passage("w8")])))
    np.testing.assert_allclose(results[0], results[1], atol=2e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_driver_without_a_usable_card_is_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    compute = Compute(cache=tmp_path)
    monkeypatch.setattr(forward, "_DRIVERS", (tmp_path / "version",))
    assert not compute.on_card()
    (tmp_path / "version").touch()
    assert compute.on_card() == torch.cuda.is_available()


def _refuse(*_: object, **__: object) -> None:
    raise RuntimeError("Couldn't get TorchScript module by tracing.\nGraph diff: " + "x" * 5_000)


def test_a_model_that_openvino_cannot_convert_is_run_by_torch_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import openvino

    monkeypatch.setattr(openvino, "convert_model", _refuse)
    monkeypatch.setattr(Compute, "on_card", lambda self: False)
    folder = small_transformer(tmp_path / "model")
    with caplog.at_level(logging.WARNING, "ragwright"):
        encoder = load_encoder(str(folder), Compute(tmp_path / "cache", precision="fp32", threads=1))
        vectors = encoder.encode_queries(["torque the bolts"])
    by_torch = load_encoder(str(folder), Compute(tmp_path, backend="torch", precision="fp32", threads=1))
    np.testing.assert_array_equal(vectors, by_torch.encode_queries(["torque the bolts"]))
    (record,) = caplog.records
    assert "is run by torch, since OpenVINO cannot convert it: Couldn't get" in record.message
    assert "\n" not in record.message and len(record.message) < 500
    wanted = load_encoder(str(folder), Compute(tmp_path / "cache", backend="openvino"))
    with pytest.raises(ModelError, match=r"OpenVINO cannot convert .*; set encoder\.backend=torch$"):
        wanted.load()
