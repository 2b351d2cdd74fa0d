"""The encoder gives the model's vectors, whatever the batches, the lengths and the backend."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ragwright.core.errors import InputError, ModelError
from ragwright.core.types import Encoding, Passage
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.forward import Compute, Precision
from ragwright.retrieval.model import DEFAULT_MODEL, open_model

WORDS = [
    "pump",
    "gasket",
    "torque",
    "bolt",
    "naïve",
    "café",
    "漢字",
    "🚀",
    "unbelievable",
    "4711",
    "x_y",
    "(seal)",
    "±",
    "–",
    "“quoted”",
    "the",
    "of",
]


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, 14))) + "."


def _passages(count: int) -> list[Passage]:
    """Passages of one to eight sentences behind a heading that belongs to no sentence."""
    chance, passages = random.Random(7), []
    for _ in range(count):
        text, ranges = "Manual > Pumps\n", []
        for _ in range(chance.randint(1, 8)):
            sentence = _sentence(chance)
            ranges.append((len(text), len(text) + len(sentence)))
            text += sentence + " "
        passages.append(Passage(text.strip(), tuple(ranges)))
    return passages


PASSAGES = _passages(14)


def _matrix(encodings: list[Encoding]) -> NDArray[np.float32]:
    return np.stack([encoding.vector for encoding in encodings])


def _sentences(encodings: list[Encoding]) -> NDArray[np.float32]:
    return np.concatenate([encoding.sentences for encoding in encodings])


@pytest.fixture(scope="module")
def reference() -> Any:
    """The same weights in sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(open_model(DEFAULT_MODEL).path), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def torch_encoder(model_cache: Path) -> TransformerEncoder:
    return load_encoder(
        DEFAULT_MODEL,
        Compute(backend="torch", precision="fp32", cache=model_cache, batch_tokens=512, threads=0),
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_vectors_are_those_of_sentence_transformers(
    encoder: TransformerEncoder, exact_encoder: TransformerEncoder, reference: Any
) -> None:
    texts = [passage.text for passage in PASSAGES] + ["", "?", "pump " * 240]
    expected = reference.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(exact_encoder.encode_queries(texts), expected, atol=2e-5)
    cosines = (encoder.encode_queries(texts) * expected).sum(axis=1)
    assert cosines.min() >= 0.999
    passages = _matrix(exact_encoder.encode_passages([Passage(text) for text in texts]))
    np.testing.assert_allclose(passages, expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_question_over_the_limit_is_cut_off_as_sentence_transformers_does(
    exact_encoder: TransformerEncoder, reference: Any
) -> None:
    question = " ".join(WORDS * 40)
    expected = reference.encode([question], normalize_embeddings=True)
    np.testing.assert_allclose(exact_encoder.encode_queries([question]), expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_torch_and_openvino_agree(
    exact_encoder: TransformerEncoder, torch_encoder: TransformerEncoder
) -> None:
    one, other = (each.encode_passages(PASSAGES) for each in (exact_encoder, torch_encoder))
    np.testing.assert_allclose(_matrix(one), _matrix(other), atol=2e-5)
    np.testing.assert_allclose(_sentences(one), _sentences(other), atol=2e-5)
    assert exact_encoder.fingerprint == torch_encoder.fingerprint


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_sentence_vectors_are_means_of_the_token_vectors_of_the_whole_passage(
    exact_encoder: TransformerEncoder,
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(open_model(DEFAULT_MODEL).path)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    for passage, encoding in zip(PASSAGES[:8], exact_encoder.encode_passages(PASSAGES[:8]), strict=True):
        inputs = tokenizer(passage.text, return_offsets_mapping=True, return_tensors="pt")
        offsets = inputs.pop("offset_mapping")[0]
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state[0]
        for vector, (start, end) in zip(encoding.sentences, passage.sentences, strict=True):
            inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 1] > offsets[:, 0])
            mean = torch.nn.functional.normalize(states[inside].mean(dim=0), dim=0)
            np.testing.assert_allclose(vector, mean.numpy(), atol=2e-5)


def test_vectors_have_unit_length_and_come_in_input_order(encoder: TransformerEncoder) -> None:
    shuffled = PASSAGES[::-1]
    encodings = encoder.encode_passages(shuffled)
    assert encoder.dimension == 384
    for passage, encoding in zip(shuffled, encodings, strict=True):
        assert encoding.vector.shape == (384,)
        assert encoding.sentences.shape == (len(passage.sentences), 384)
        assert encoding.vector.dtype == encoding.sentences.dtype == np.float32
        norms = np.linalg.norm([encoding.vector, *encoding.sentences], axis=1)
        np.testing.assert_allclose(norms, 1.0, atol=1e-5)
        alone = encoder.encode_passages([passage])[0]
        assert alone.vector @ encoding.vector > 0.999


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("auto", 2e-2)])
@pytest.mark.slow
def test_the_batch_budget_does_not_change_the_vectors(
    model_cache: Path, precision: Precision, tolerance: float
) -> None:
    results = [
        load_encoder(
            DEFAULT_MODEL,
            Compute(
                backend="openvino",
                precision=precision,
                cache=model_cache,
                batch_tokens=budget,
                threads=threads,
            ),
        ).encode_passages(PASSAGES)
        for budget, threads in ((64, 1), (300, 2), (100_000, 0))
    ]
    for other in results[1:]:
        np.testing.assert_allclose(_matrix(other), _matrix(results[0]), atol=tolerance)
        np.testing.assert_allclose(_sentences(other), _sentences(results[0]), atol=tolerance)


def test_what_a_passage_is_encoded_with_changes_no_bit_of_its_vectors(encoder: TransformerEncoder) -> None:
    together = encoder.encode_passages(PASSAGES)
    order = np.random.default_rng(0).permutation(len(PASSAGES)).tolist()
    for start in range(0, len(order), 5):
        part = order[start : start + 5]
        for place, encoding in zip(part, encoder.encode_passages([PASSAGES[p] for p in part]), strict=True):
            assert (encoding.vector == together[place].vector).all()
            assert (encoding.sentences == together[place].sentences).all()


def test_texts_that_are_tokenized_ahead_in_parts_get_the_same_bits(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = encoder.encode_passages(PASSAGES)
    monkeypatch.setattr("ragwright.retrieval.encoder._WINDOW", 700)
    parts = encoder.encode_passages(PASSAGES)
    np.testing.assert_array_equal(_matrix(parts), _matrix(together))
    np.testing.assert_array_equal(_sentences(parts), _sentences(together))
    with pytest.raises(InputError, match="reads at most 256"):
        encoder.encode_passages([*PASSAGES, Passage("pump " * 255), *PASSAGES])


def test_encoding_twice_gives_the_same_bits(encoder: TransformerEncoder) -> None:
    first, second = (encoder.encode_passages(PASSAGES) for _ in range(2))
    np.testing.assert_array_equal(_matrix(first), _matrix(second))
    np.testing.assert_array_equal(_sentences(first), _sentences(second))


def test_a_question_and_a_passage_of_the_same_text_have_the_same_vector(
    exact_encoder: TransformerEncoder,
) -> None:
    texts = [passage.text for passage in PASSAGES]
    np.testing.assert_allclose(
        exact_encoder.encode_queries(texts), _matrix(exact_encoder.encode_passages(PASSAGES)), atol=1e-5
    )


def test_a_sentence_that_is_the_whole_passage_is_near_the_passage(exact_encoder: TransformerEncoder) -> None:
    text = "Torque the bolts to 35 Nm."
    encoding = exact_encoder.encode_passages([Passage(text, ((0, len(text)),))])[0]
    assert encoding.sentences[0] @ encoding.vector > 0.9, "only the special tokens differ"


def test_a_range_without_tokens_gets_the_mean_of_the_passage(exact_encoder: TransformerEncoder) -> None:
    encoding = exact_encoder.encode_passages([Passage("pump    seal", ((0, 4), (5, 7), (8, 12)))])[0]
    np.testing.assert_allclose(encoding.sentences[1], encoding.vector, atol=1e-6)


def test_nothing_gives_nothing(encoder: TransformerEncoder) -> None:
    assert encoder.encode_queries([]).shape == (0, 384)
    assert encoder.encode_passages([]) == []
    (empty,) = encoder.encode_passages([Passage("")])
    assert empty.sentences.shape == (0, 384)
    assert np.linalg.norm(empty.vector) == pytest.approx(1.0, abs=1e-5)


def test_a_passage_over_the_limit_is_refused_and_one_at_the_limit_is_not(encoder: TransformerEncoder) -> None:
    encoder.encode_passages([Passage("pump " * 254)])
    with pytest.raises(InputError, match=r"has 257 tokens and all-MiniLM-L6-v2 reads at most 256; lower"):
        encoder.encode_passages([Passage("seal"), Passage("pump " * 255)])


def test_what_a_question_says_beyond_the_limit_is_left_out(exact_encoder: TransformerEncoder) -> None:
    within, beyond = exact_encoder.encode_queries(["pump " * 254, "pump " * 254 + "gasket " * 700])
    np.testing.assert_allclose(within, beyond, atol=1e-6)


def test_prompts_are_put_before_questions_and_passages_and_belong_to_no_sentence(
    model_copy: Path, model_cache: Path, exact_encoder: TransformerEncoder
) -> None:
    prompts = {"query": "question: ", "document": "manual text: "}
    path = model_copy / "config_sentence_transformers.json"
    path.write_text(json.dumps({"prompts": prompts}), encoding="utf-8")
    prompted = load_encoder(
        str(model_copy), Compute(backend="openvino", precision="fp32", cache=_reused(model_cache, model_copy),
        batch_tokens=256, threads=1,))  # fmt: skip
    text = "Torque the bolts. Check them twice."
    np.testing.assert_allclose(
        prompted.encode_queries([text]), exact_encoder.encode_queries(["question: " + text]), atol=1e-6
    )
    shift = len("manual text: ")
    ranges = ((0, 17), (18, 35))
    moved = tuple((start + shift, end + shift) for start, end in ranges)
    one = prompted.encode_passages([Passage(text, ranges)])[0]
    other = exact_encoder.encode_passages([Passage("manual text: " + text, moved)])[0]
    np.testing.assert_allclose(one.vector, other.vector, atol=1e-6)
    np.testing.assert_allclose(one.sentences, other.sentences, atol=1e-6)


def _reused(cache: Path, folder: Path) -> Path:
    """A cache in which the default model's conversion stands for a copy with other settings."""
    made = folder.parent / "cache"
    made.mkdir()
    (converted,) = cache.glob(f"{open_model(DEFAULT_MODEL).fingerprint}-*")
    renamed = converted.name.replace(
        open_model(DEFAULT_MODEL).fingerprint, open_model(str(folder)).fingerprint
    )
    (made / renamed).symlink_to(converted)
    return made


def test_a_passage_that_fills_the_room_behind_the_prompt_is_encoded(
    model_copy: Path, model_cache: Path
) -> None:
    path = model_copy / "config_sentence_transformers.json"
    path.write_text(json.dumps({"prompts": {"document": "passage: "}}), encoding="utf-8")
    prompted = load_encoder(
        str(model_copy), Compute(backend="openvino", precision="fp32", cache=_reused(model_cache, model_copy),
        batch_tokens=256, threads=1,))  # fmt: skip
    room = prompted.tokenizer.max_tokens - prompted.tokenizer.special_tokens
    assert room == 256 - 2 - 2
    prompted.encode_passages([Passage("pump " * room)])
    with pytest.raises(InputError, match="has 257 tokens"):
        prompted.encode_passages([Passage("pump " * (room + 1))])


# Refuses every connection and name look-up, encodes, and tells what was imported.
OFFLINE = """
import json, socket, sys
from pathlib import Path

def refuse(*arguments, **named):
    raise AssertionError(f"the network was asked: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse

from ragwright.core.types import Passage
from ragwright.retrieval.encoder import load_encoder
from ragwright.retrieval.forward import Compute

encoder = load_encoder(
    "all-MiniLM-L6-v2", Compute(backend=sys.argv[1], cache=Path(sys.argv[2]), batch_tokens=512)
)
encoder.encode_passages([Passage("Torque the bolts.", ((0, 17),))] * 3)
encoder.encode_queries(["torque"])
heavy = {"torch", "transformers", "sentence_transformers", "huggingface_hub", "openvino", "requests"}
print(json.dumps(sorted(heavy & sys.modules.keys())))
"""


def _imported(backend: str, cache: Path) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE, backend, str(cache)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return set(json.loads(run.stdout))


@pytest.mark.usefixtures("encoder")
def test_a_converted_model_needs_neither_torch_nor_the_network(model_cache: Path) -> None:
    assert _imported("openvino", model_cache) == {"openvino"}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_loading_and_converting_ask_no_network_and_write_nothing_to_the_terminal(
    tmp_path: Path, backend: str
) -> None:
    assert {"torch", "transformers"} <= _imported(backend, tmp_path)


@pytest.mark.slow
def test_weights_that_do_not_fit_their_settings_are_told(model_copy: Path, tmp_path: Path) -> None:
    (model_copy / "model.safetensors").unlink()
    (model_copy / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}garbage")
    encoder = load_encoder(str(model_copy), Compute(backend="torch", cache=tmp_path))
    with pytest.raises(ModelError, match="cannot be loaded"):
        encoder.encode_queries(["torque"])
