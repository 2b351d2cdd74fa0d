"""The demo corpus and its questions."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ragwright.core.errors import InputError
from ragwright.ingest.parse import parse

DEMO = Path(__file__).parents[2] / "demo"
FILES = sorted(path for path in (DEMO / "documents").rglob("*") if path.is_file())


@cache
def text_of(path: Path) -> str:
    return parse(path.read_bytes(), path.name).text


@cache
def questions() -> list[dict[str, Any]]:
    lines = (DEMO / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@cache
def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_document_parses_to_text_and_blocks(path: Path) -> None:
    parsed = parse(path.read_bytes(), path.name)
    assert len(parsed.text) > 500
    assert parsed.blocks


def test_the_reference_text_is_the_slice_of_the_canonical_text() -> None:
    references = [reference for question in questions() for reference in question["references"]]
    assert len(references) >= 50
    for reference in references:
        text = text_of(DEMO / reference["source"])
        assert text[reference["start"] : reference["end"]] == reference["text"]


def test_there_are_sixty_questions_with_unique_ids_and_ten_have_no_answer() -> None:
    assert len({question["id"] for question in questions()}) == len(questions()) == 60
    assert sum(not question["answerable"] for question in questions()) == 10


def test_an_answerable_question_has_one_to_three_references_and_an_answer() -> None:
    for question in questions():
        assert bool(question["answer"]) == question["answerable"], question["id"]
        assert (1 <= len(question["references"]) <= 3) == question["answerable"], question["id"]


def test_the_written_questions_are_those_of_the_toml_file_under_the_current_parser() -> None:
    assert script("make_questions").rows() == questions()


@pytest.mark.parametrize("quote", ["", "absent", "twice"])
def test_a_quote_that_is_absent_or_not_unique_is_refused_with_the_question_named(quote: str) -> None:
    with pytest.raises(InputError, match="q07"):
        script("make_questions").locate(quote, "twice and twice", where="q07, a.md")


def test_every_kind_of_built_document_has_the_text_of_its_source() -> None:
    """Holds for whoever has the library that builds it; byte equality would tie it to one version."""
    pytest.importorskip("reportlab")
    pytest.importorskip("docx")
    module = script("make_documents")
    for source, target in module.TARGETS.items():
        built = parse(module.build(source), Path(target).name)
        assert built.text == text_of(DEMO / "documents" / target)


def test_building_twice_gives_the_same_bytes() -> None:
    pytest.importorskip("reportlab")
    pytest.importorskip("docx")
    module = script("make_documents")
    for source in ("quality-manual", "fenwater-service-contract"):
        assert module.build(source) == module.build(source)
