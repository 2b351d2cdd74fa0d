"""Training small embedders from examples to a folder that retrieval opens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.small_models import small_transformer

from ragwright.core.config_tuning import TuneConfig
from ragwright.core.errors import ConfigError, InputError, ModelError
from ragwright.finetune.card import describe, finish
from ragwright.finetune.embedder import train_embedder
from ragwright.finetune.embedder_batches import Frozen
from ragwright.finetune.learner import EmbedderSettings, Learner, StartingPoint, load_learner
from ragwright.finetune.lora import Lora
from ragwright.finetune.training import Trained, Training
from ragwright.finetune.tuned_model import MODEL, read_tuned
from ragwright.finetune.values import Example, TrainingPassage
from ragwright.retrieval.adapters import Adapters
from ragwright.retrieval.encoder import load_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import open_model

pytestmark = pytest.mark.slow

_TRAINING = Training(epochs=30, batch=8, learning_rate=3e-3, checkpoints=3, precision="fp32")
_THINGS = ["pump", "valve", "filter", "motor", "pipe", "tank"]
_THINGS += ["hose", "gauge", "lever", "spring", "wheel", "shaft"]
_PLACES = ["cellar", "attic", "yard", "office", "garage", "roof"]
_PLACES += ["kitchen", "tunnel", "tower", "stable", "shed", "bridge"]


def passage(number: int) -> TrainingPassage:
    thing, place = _THINGS[number % 12], _PLACES[number % 12]
    text = f"The {place} holds a machine. It was built long ago. Nobody looks after it. (item {number})"
    return TrainingPassage(f"p{number}", f"{thing}.md", text, ((0, len(place) + 24),))


PASSAGES = [passage(number) for number in range(12)]


def example(number: int, task: str = "") -> Example:
    """A question that shares no word with its answer: it has to be learnt."""
    right, wrong = PASSAGES[number % 12], PASSAGES[(number + 5) % 12]
    query = f"where is the {_THINGS[number % 12]}{'?' * (number // 12)}"
    return Example(f"q{number}", query, task, (right,), (wrong,), (1.0, 0.5))


EXAMPLES, DEV = [example(number) for number in range(24)], [example(number) for number in range(24, 36)]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> StartingPoint:
    model = open_model(str(small_transformer(tmp_path_factory.mktemp("embedder") / "base")))
    return StartingPoint(model.path, model.name, model.fingerprint, max_tokens=64)


def trained(start: StartingPoint, folder: Path, **settings: Any) -> tuple[Learner, Trained]:
    """A model trained on the examples, its folder finished."""
    more = {key: settings.pop(key) for key in ("frozen", "teacher") if key in settings}
    learner = load_learner(start, EmbedderSettings(**settings))
    found = train_embedder(learner, EXAMPLES, DEV, folder, training=_TRAINING, **more)
    tuned = describe(
        "small", "embedder", base=start.name, base_fingerprint=start.fingerprint, data=None,
        examples=EXAMPLES, seed=0, settings=settings, trained=found,
    )  # fmt: skip
    finish(folder, tuned, save=learner.save, purpose="A test.")
    return learner, found


def served(folder: Path, cache: Path, texts: list[str]) -> Any:
    compute = Compute(cache=cache, backend="torch", precision="fp32")
    return load_encoder(str(folder), compute).encode_queries(texts)


def own(learner: Learner, texts: list[str]) -> Any:
    return learner.model.encode(texts, normalize_embeddings=True)


def test_a_trained_embedder_answers_what_it_was_taught_and_is_served_as_it_was_trained(
    start: StartingPoint, tmp_path: Path
) -> None:
    learner, found = trained(start, tmp_path, evidence=0.5)
    assert found.dev["nDCG@10"] > found.start["nDCG@10"] + 0.2
    model = open_model(str(tmp_path / MODEL))
    assert model.fingerprint != start.fingerprint and model.max_tokens >= 64
    texts = [each.query for each in DEV]
    np.testing.assert_allclose(served(tmp_path / MODEL, tmp_path, texts), own(learner, texts), atol=1e-5)
    tuned = read_tuned(tmp_path)
    assert tuned.sources["pump.md"] == 2 and tuned.metrics["dev.nDCG@10"] == found.dev["nDCG@10"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "curves.jsonl", "model", "tuned.json",
    ]  # fmt: skip


def test_lora_weights_are_served_as_they_were_trained_and_leave_their_base_alone(
    start: StartingPoint, tmp_path: Path
) -> None:
    before = (start.path / "model.safetensors").read_bytes()
    learner, found = trained(start, tmp_path, lora=Lora(rank=8, alpha=16))
    assert found.dev["nDCG@10"] > found.start["nDCG@10"] + 0.1
    texts = [each.query for each in DEV]
    np.testing.assert_allclose(served(tmp_path / MODEL, tmp_path, texts), own(learner, texts), atol=1e-4)
    assert (start.path / "model.safetensors").read_bytes() == before
    assert not list((tmp_path / MODEL).glob("*.bin"))


def test_weights_for_questions_fit_the_vectors_that_the_index_has(
    start: StartingPoint, tmp_path: Path
) -> None:
    adapters = Adapters(str(start.path), Compute(cache=tmp_path, backend="torch", precision="fp32"))
    vectors = adapters.encoder().encode_queries([each.text for each in PASSAGES])
    frozen = Frozen(PASSAGES, vectors)
    _, found = trained(start, tmp_path / "run", lora=Lora(rank=8, alpha=16), queries_only=True, frozen=frozen)
    adapters.add("small", tmp_path / "run" / MODEL)
    asked = adapters.encoder("small").encode_queries([each.query for each in DEV])
    right = (asked @ vectors.T).argmax(1) == np.arange(24, 36) % 12
    assert found.dev["nDCG@10"] > found.start["nDCG@10"] + 0.1 and right.mean() > 0.5


def test_questions_alone_cannot_be_trained_without_an_index(start: StartingPoint, tmp_path: Path) -> None:
    learner = load_learner(start, EmbedderSettings(lora=Lora(), queries_only=True))
    with pytest.raises(InputError, match="trained against the vectors of an index"):
        train_embedder(learner, EXAMPLES, DEV, tmp_path, training=_TRAINING)
    frozen = Frozen(PASSAGES[:3], np.eye(3, 32, dtype=np.float32))
    with pytest.raises(InputError, match="is not in the index; mine the examples again"):
        train_embedder(learner, EXAMPLES, DEV, tmp_path, training=_TRAINING, frozen=frozen)


def test_a_teachers_order_is_learnt_from_its_scores_alone(start: StartingPoint, tmp_path: Path) -> None:
    right = {each.query: each.positives[0].text for each in EXAMPLES}

    def teacher(pairs: Any) -> list[float]:
        return [4.0 if right[query] == text else -4.0 for query, text in pairs]

    _, found = trained(start, tmp_path, distil=1.0, teacher=teacher)
    assert found.dev["nDCG@10"] > found.start["nDCG@10"] + 0.1


def test_every_task_has_its_instruction_in_training_and_in_the_folder(
    start: StartingPoint, tmp_path: Path
) -> None:
    learner = load_learner(start, EmbedderSettings(instructions={"table": "Find a row: "}))
    assert learner.query("how tall", "table") == "Find a row: how tall" and learner.query("x", "list") == "x"
    learner.save(tmp_path)
    settings = json.loads((tmp_path / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    assert settings["prompts"] == {"query": "", "document": "", "table": "Find a row: "}
    assert open_model(str(tmp_path)).query_prompt == ""


def test_the_table_of_token_vectors_stays_unless_it_is_to_learn(start: StartingPoint, tmp_path: Path) -> None:
    for number, learns in enumerate((False, True)):
        learner = load_learner(start, EmbedderSettings(token_table=learns))
        table = learner.model.transformers_model.get_input_embeddings().weight
        before = table.detach().clone()
        train_embedder(learner, EXAMPLES, [], tmp_path / str(number), training=replace(_TRAINING, epochs=1))
        assert bool((table != before).any()) is learns


def test_wrong_lengths_and_layers_are_refused_by_name(start: StartingPoint, tmp_path: Path) -> None:
    learner = load_learner(start, EmbedderSettings(lengths=(64,)))
    with pytest.raises(InputError, match=r"tune.lengths is \[64\]; wanted numbers from 1 to 32"):
        train_embedder(learner, EXAMPLES, DEV, tmp_path, training=_TRAINING)
    with pytest.raises(
        ModelError, match=r"no linear layers named nothing; .* some of dense, key, query, value"
    ):
        load_learner(start, EmbedderSettings(lora=Lora(targets=("nothing",))))
    with pytest.raises(ModelError, match="cannot be loaded for training"):
        load_learner(replace(start, path=tmp_path), EmbedderSettings())


def test_settings_come_from_the_section_tune() -> None:
    config = TuneConfig(negatives=3, lora_rank=4, lengths=(8,))
    found = EmbedderSettings.of(config, lora=True, queries_only=True)
    assert (found.negatives, found.lengths, found.queries_only) == (3, (8,), True)
    assert found.lora == Lora(rank=4) and EmbedderSettings.of(config).lora is None
    instructed = TuneConfig(instructions=("table=Find a row: a=b ",))
    assert EmbedderSettings.of(instructed).instructions == {"table": "Find a row: a=b "}
    with pytest.raises(ConfigError, match=r"has 'table'; wanted task=instruction"):
        EmbedderSettings.of(TuneConfig(instructions=("table",)))
