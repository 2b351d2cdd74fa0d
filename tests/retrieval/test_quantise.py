"""int8: made from samples, used only when accepted, never taken for another model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.small_models import small_transformer

from ragwright.core.errors import InputError, MissingExtra, ModelError
from ragwright.core.types import Passage
from ragwright.retrieval.encoder import load_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import ModelFolder, open_model
from ragwright.retrieval.quantise import quantised_draft
from ragwright.retrieval.quantised import (
    VERDICT,
    QuantisedModel,
    accept,
    accepted_model,
    is_int8,
    quantised_in,
    read_verdict,
)

TEXTS = [f"The pump of unit {number} is checked twice a year. " * (number % 5 + 1) for number in range(24)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A small transformer with made-up weights."""
    return open_model(str(small_transformer(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    """A cache of its own, and one thread."""
    return Compute(cache=tmp_path_factory.mktemp("cache"), precision="int8", threads=1, batch_tokens=256)


@pytest.fixture(scope="module")
def accepted(model: ModelFolder, compute: Compute) -> QuantisedModel:
    """The model's int8 form, accepted."""
    with quantised_draft(model, compute, TEXTS) as draft:
        return accept(draft, {"accepted": True}, model=model, cache=compute.cache)


def test_without_an_accepted_model_the_command_is_named(model: ModelFolder, tmp_path: Path) -> None:
    assert read_verdict(model, tmp_path) is None
    with pytest.raises(ModelError, match=r"no accepted int8 model .*; run: ragwright quantize"):
        load_encoder(model.name, Compute(cache=tmp_path, precision="int8"))


@pytest.mark.slow
def test_an_accepted_model_is_near_the_float_one_and_bears_another_name(
    model: ModelFolder, compute: Compute, accepted: QuantisedModel
) -> None:
    int8 = load_encoder(model.name, compute)
    exact = load_encoder(model.name, replace(compute, precision="fp32"))
    assert int8.fingerprint == accepted.fingerprint != exact.fingerprint == model.fingerprint
    cosines = (int8.encode_queries(TEXTS) * exact.encode_queries(TEXTS)).sum(axis=1)
    assert 0.95 < cosines.min() < 0.999999
    assert read_verdict(model, compute.cache) == {
        "accepted": True,
        "fingerprint": accepted.fingerprint,
        "folder": accepted.folder.name,
    }


def test_what_a_passage_is_encoded_with_changes_no_bit_of_its_int8_vectors(
    model: ModelFolder, compute: Compute, accepted: QuantisedModel
) -> None:
    encoder = load_encoder(model.name, compute)
    passages = [Passage(text, ((0, 20), (20, len(text)))) for text in TEXTS]
    together = encoder.encode_passages(passages)
    for passage, encoding in reversed(list(zip(passages, together, strict=True))):
        (alone,) = encoder.encode_passages([passage])
        np.testing.assert_array_equal(alone.vector, encoding.vector)
        np.testing.assert_array_equal(alone.sentences, encoding.sentences)


def test_a_draft_that_is_not_accepted_leaves_nothing_and_the_terminal_stays_silent(
    model: ModelFolder, compute: Compute, accepted: QuantisedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(compute.cache.rglob("*"))
    with quantised_draft(model, compute, TEXTS) as draft:
        assert (draft.folder / "model.xml").is_file()
        assert draft.fingerprint == accepted.fingerprint, "equal samples give an equal model"
    assert sorted(compute.cache.rglob("*")) == before
    assert tuple(capfd.readouterr()) == ("", "")
    assert sys.modules["openvino_telemetry"] is None, "the statistics service cannot be reached"


def test_other_files_than_those_that_were_accepted_are_refused(model: ModelFolder, tmp_path: Path) -> None:
    draft = _draft(model, tmp_path / "draft", b"numbers")
    folder = accept(draft, {"accepted": True}, model=model, cache=tmp_path).folder
    weights = folder / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"the accepted one was .*; run: ragwright quantize"):
        accepted_model(model, tmp_path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"cannot be read .*; run: ragwright quantize"):
        accepted_model(model, tmp_path)
    (folder.parent / VERDICT).write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be read .*; run: ragwright quantize"):
        accepted_model(model, tmp_path)


@pytest.mark.slow
def test_a_newly_accepted_model_takes_the_place_of_the_former(
    model: ModelFolder, compute: Compute, tmp_path: Path
) -> None:
    names = []
    for texts in (TEXTS[:8], ["An entirely different manual of cranes."]):
        with quantised_draft(model, replace(compute, cache=tmp_path), texts) as draft:
            accept(draft, {"texts": len(texts)}, model=model, cache=tmp_path)
            names.append(draft.fingerprint)
    assert len(set(names)) == 2
    assert accepted_model(model, tmp_path).fingerprint == names[1]
    verdict = read_verdict(model, tmp_path) or {}
    assert (verdict["texts"], verdict["fingerprint"], verdict["former"]) == (1, names[1], names[:1])
    assert list(tmp_path.glob(".quantise-*")) == []
    assert [is_int8(name, tmp_path) for name in (*names, model.fingerprint)] == [True, True, False]


def _draft(model: ModelFolder, folder: Path, numbers: bytes) -> QuantisedModel:
    """Files that are taken for a quantised model as long as none is loaded."""
    folder.mkdir(parents=True)
    (folder / "model.xml").write_text("names")
    (folder / "model.bin").write_bytes(numbers)
    return quantised_in(folder, model)


def test_the_former_model_is_in_force_whole_until_the_new_verdict_is_written(
    model: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk would have it, the last step fails once; a killed process ends there too."""
    first = accept(_draft(model, tmp_path / "one", b"1"), {"number": 1}, model=model, cache=tmp_path)
    replace_file = Path.replace

    def fails(path: Path, target: Path) -> Path:
        raise OSError("no room")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="no room"):
        accept(_draft(model, tmp_path / "two", b"2"), {"number": 2}, model=model, cache=tmp_path)
    assert accepted_model(model, tmp_path) == first
    assert (read_verdict(model, tmp_path) or {})["number"] == 1

    monkeypatch.setattr(Path, "replace", replace_file)
    third = accept(_draft(model, tmp_path / "three", b"1"), {"number": 3}, model=model, cache=tmp_path)
    assert accepted_model(model, tmp_path) == third
    assert third.fingerprint == first.fingerprint, "an equal model in a folder of its own"
    kept = sorted(path.name for path in third.folder.parent.iterdir())
    assert kept == sorted([VERDICT, third.folder.name]), "the former and the half accepted one are gone"


def test_torch_and_no_texts_and_a_missing_package_are_refused_before_any_work(
    model: ModelFolder, compute: Compute, accepted: QuantisedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = replace(compute, backend="torch")
    with pytest.raises(ModelError, match=r"set encoder\.backend=openvino"):
        load_encoder(model.name, torch)
    with (
        pytest.raises(ModelError, match=r"set encoder\.backend=openvino"),
        quantised_draft(model, torch, TEXTS),
    ):
        pass
    with pytest.raises(InputError, match="no text"), quantised_draft(model, compute, []):
        pass
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtra, match=r"'\.\[int8\]'"), quantised_draft(model, compute, TEXTS):
        pass


def test_running_int8_imports_neither_nncf_nor_torch(
    model: ModelFolder, compute: Compute, accepted: QuantisedModel
) -> None:
    code = (
        "import sys, pathlib\n"
        "import ragwright.retrieval.quantise\n"
        "from ragwright.retrieval.encoder import load_encoder\n"
        "from ragwright.retrieval.forward import Compute\n"
        "compute = Compute(cache=pathlib.Path(sys.argv[2]), precision='int8', threads=1)\n"
        "load_encoder(sys.argv[1], compute).encode_queries(['pump'])\n"
        "print({'nncf', 'torch'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, model.name, str(compute.cache)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"
