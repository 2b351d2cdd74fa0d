"""Promotion and rollback: what answers, what is refused, and what every document becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.app.conftest import copy
from tests.app.tuning.noisy_encoder import (
    DOCUMENTS,
    SILENT,
    Encoders,
    bring,
    config_in,
    document,
    prepare,
    questions,
    texts,
    tuned,
    words_of,
)
from tests.small_models import small_transformer
from tests.small_reader import small_reader

from ragwright.app.index_building import build_beside, delete_strays_elsewhere
from ragwright.app.indexing import rebuild_index
from ragwright.app.live_index import add_file, hide_document
from ragwright.app.progress import Progress
from ragwright.app.tuning.comparing import Witness
from ragwright.app.tuning.exam import Wanted, exam_for
from ragwright.app.tuning.promotion import promote, roll_back
from ragwright.app.workspace import Workspace
from ragwright.core.errors import IndexDamaged, InputError, WorkspaceBusy
from ragwright.core.query_adapter import QueryAdapter, write_query_adapter
from ragwright.core.routing_table import RoutingTable, write_routing_table
from ragwright.core.types import Access
from ragwright.eval.values import SourceText
from ragwright.finetune.rows import write_lines
from ragwright.ingest.discover import SourceFile
from ragwright.ingest.doctor import examine
from ragwright.ingest.pipeline import forget
from ragwright.ingest.rights import give_rights


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> Encoders:
    made = Encoders()
    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", made)
    return made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with its documents, tuned models and an exam, to be copied."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def workspace(folder: Path, prepared: Path, encoders: Encoders) -> Iterator[Workspace]:
    """Documents, and tuned models beside them."""
    for each in prepared.iterdir():
        copy(each, folder)
    made = Workspace(config_in(folder))
    yield made
    made.close()


@pytest.fixture
def wanted(folder: Path) -> Wanted:
    """The exam: a question for each document, and thirty of another domain, which brings its documents."""
    return Wanted(questions=folder / "own.jsonl", outside=folder / "outside")


def found(workspace: Workspace, number: int) -> str:
    """The first document for words of one."""
    asked = " ".join(words_of(number, 24).split()[6:12])
    return workspace.retriever.search(asked)[0].source


def sound(workspace: Workspace) -> bool:
    """Whether the index that answers holds every document, exactly, and nothing else."""
    version, manifest = workspace.live()
    return not list(examine(workspace.catalog, workspace.open_index(version, manifest), version))


def test_a_better_model_answers_from_an_index_of_its_own_and_is_reported(
    workspace: Workspace, encoders: Encoders, wanted: Wanted
) -> None:
    stages: list[str] = []
    witness = Witness(begin=lambda stage, steps: stages.append(stage))
    done = promote(workspace, "sharp", wanted=wanted, witness=witness)
    version, manifest = workspace.live()
    assert (done.accepted, done.version, version, manifest.parts) == (True, "v2", "v2", {"embedder": "sharp"})
    assert (manifest.fingerprint, manifest.model) == ("print of sharp", "tuned/sharp")
    assert id(workspace.encoder) == id(encoders.opened["sharp"]) and sound(workspace)
    right = sum(found(workspace, number) == f"docs/{number}.md" for number in range(DOCUMENTS))
    assert right > 0.6 * DOCUMENTS
    assert stages == ["building", "asking", *["asking outside"] * 3, "switching"]
    told = json.loads((done.folder / "verdict.json").read_text())
    assert told["passed"] and "nDCG@10 changed by +" in told["sentences"][0]
    assert "with the whole interval" in told["sentences"][0] and "in the other domain" in told["sentences"][1]
    assert (done.folder / "report.html").is_file() and (done.folder / "outside.html").is_file()
    (switch,) = workspace.catalog.switches()
    assert (switch.action, switch.name, switch.former, switch.parts) == (
        "promote", "sharp", {}, {"embedder": "sharp"},
    )  # fmt: skip
    with pytest.raises(InputError, match="sharp answers already, as the embedder"):
        promote(workspace, "sharp", wanted=wanted)


def test_a_worse_model_is_refused_and_nothing_changes_but_its_report(
    workspace: Workspace, wanted: Wanted
) -> None:
    before = workspace.live(), workspace.catalog.versions()
    done = promote(workspace, "poisoned", wanted=Wanted(wanted.questions, skip_outside=True))
    assert not done.accepted and (workspace.live(), workspace.catalog.versions()) == before
    assert done.examined.sentences()[0].startswith("failed: nDCG@10 changed by -")
    assert not (workspace.folder / "indexes" / "v2").exists() and workspace.catalog.switches() == []
    assert json.loads((done.folder / "verdict.json").read_text())["passed"] is False
    assert (done.folder / "report.html").is_file() and sound(workspace)


@pytest.mark.slow
def test_what_falls_in_another_domain_is_refused_however_much_it_gains(
    workspace: Workspace, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = workspace.config.tune.model_copy(update={"outside_gate": ("nDCG@10>=0.95",)})
    workspace.config = workspace.config.model_copy(update={"tune": gate})
    done = promote(workspace, "sharp", wanted=wanted)
    assert done.examined.questions.passed and not done.accepted
    assert workspace.live()[1].parts == {}


@pytest.mark.slow
def test_an_ingest_after_a_promotion_encodes_what_is_new_and_a_rebuild_keeps_the_model(
    workspace: Workspace, encoders: Encoders, wanted: Wanted
) -> None:
    promote(workspace, "sharp", wanted=wanted)
    encoder = encoders.opened["sharp"]
    encoder.encoded.clear()
    report = bring(workspace, texts([*range(DOCUMENTS), 100]))
    assert (report.added, report.skipped) == (1, DOCUMENTS)
    assert len(encoder.encoded) == 1 and found(workspace, 100) == "docs/100.md"
    with Progress(SILENT) as progress:
        rebuild_index(workspace, progress)
    version, manifest = workspace.live()
    assert (version, manifest.parts) == ("v3", {"embedder": "sharp"}) and sound(workspace)
    assert roll_back(workspace).built is False
    assert sound(workspace) and found(workspace, 100) is not None


@pytest.mark.slow
def test_a_rollback_brings_over_what_was_ingested_changed_removed_or_hidden_since(
    workspace: Workspace, encoders: Encoders, wanted: Wanted
) -> None:
    promote(workspace, "sharp", wanted=wanted)
    bring(workspace, [*texts([100]), SourceText("docs/0.md", document(101))])
    version, manifest = workspace.live()
    target = workspace.target(version, workspace.open_index(version, manifest))
    hidden = Access("", ("board",))
    forget([workspace.catalog.sources()["docs/1.md"]], target)
    give_rights([workspace.catalog.sources()["docs/2.md"]], target, access=hidden)
    assert workspace.catalog.strays("v1"), "of the document that was removed"
    delete_strays_elsewhere(workspace)
    former = encoders.opened["all-MiniLM-L6-v2"]
    former.encoded.clear()
    index = workspace.indexes.open("v1", workspace.catalog.manifests()["v1"], incomplete=True)
    kept = {each.source for part in index.scan() for each in part}
    workspace.indexes.release("v1")
    assert kept == {f"docs/{number}.md" for number in range(2, DOCUMENTS)}, "no former text is kept"
    done = roll_back(workspace)
    assert (done.name, done.parts, done.version, done.built) == ("sharp", {}, "v1", False)
    encoder = workspace.encoder
    assert encoder.fingerprint == "print of all-MiniLM-L6-v2" and sound(workspace)
    encoded = {*former.encoded, *encoders.opened["all-MiniLM-L6-v2"].encoded}
    assert len(encoded) == 2, "one that is new, and one that has changed"
    assert sorted(workspace.catalog.sources()) == sorted(
        f"docs/{number}.md" for number in {*range(DOCUMENTS), 100} - {1}
    )
    stored = workspace.open_index(*workspace.live()).scan()
    assert {each.source for part in stored for each in part if each.access == hidden} == {"docs/2.md"}
    assert workspace.catalog.versions() == ["v1"] and not (workspace.folder / "indexes" / "v2").exists()
    with pytest.raises(InputError, match="nothing that was promoted is in force"):
        roll_back(workspace)


@pytest.mark.slow
def test_two_promotions_are_taken_back_one_after_the_other(workspace: Workspace, wanted: Wanted) -> None:
    promote(workspace, "sharp", wanted=wanted)
    near = Wanted(wanted.questions, wanted.outside, gate=("nDCG@10>=-0.2",))
    promote(workspace, "sharper", wanted=near)
    assert workspace.catalog.versions() == ["v2", "v3"], "the one that answers, and the one before it"
    first = roll_back(workspace)
    assert (first.parts, first.version, first.built) == ({"embedder": "sharp"}, "v2", False)
    second = roll_back(workspace)
    assert (second.parts, second.built) == ({}, True), "its index had been removed"
    assert sound(workspace) and workspace.catalog.versions() == [second.version]
    actions = [(each.action, each.name) for each in workspace.catalog.switches()]
    assert actions == [
        ("promote", "sharp"), ("promote", "sharper"), ("rollback", "sharper"), ("rollback", "sharp"),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_query_adapter_is_promoted_without_another_index_and_rolled_back_like_any_other(
    workspace: Workspace, wanted: Wanted, encoders: Encoders
) -> None:
    base = workspace.live()[1].fingerprint
    made = tuned(workspace.folder, "turned", "adapter", base_fingerprint=base)
    nothing = np.zeros((32, 32), np.float32), np.zeros(32, np.float32)
    write_query_adapter(made / "model", QueryAdapter("base", base, *nothing))
    done = promote(workspace, "turned", wanted=Wanted(wanted.questions, wanted.outside, gate=("nDCG@10>=0",)))
    assert done.accepted and workspace.live()[0] == "v1"
    assert workspace.live()[1].parts == {"adapter": "turned"}
    outside = {
        text for each in texts(range(30), "away/{}.md") for text in [each.text.split("\n\n")[1].strip()]
    }
    encoded = {text.split("\n")[-1] for text in encoders.opened["all-MiniLM-L6-v2"].encoded}
    assert encoded <= outside and workspace.catalog.versions() == ["v1"]
    embedder = promote(workspace, "sharp", wanted=wanted)
    assert embedder.displaced == ("turned",) and workspace.live()[1].parts == {"embedder": "sharp"}
    assert roll_back(workspace).parts == {"adapter": "turned"}
    assert roll_back(workspace).parts == {} and workspace.live()[0] == "v1"


def test_an_adapter_of_another_encoder_is_refused_before_anything_is_asked(workspace: Workspace) -> None:
    tuned(workspace.folder, "strange", "adapter", base_fingerprint="another")
    with pytest.raises(InputError, match=r"strange was made for the encoder .* \(another\)"):
        promote(workspace, "strange")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown", "there is no tuned model unknown; there is: poisoned, sharp, sharper"),
        ("../tuned/sharp", "is no name of a tuned model"),
        ("words", "which cannot be promoted"),
    ],
)
def test_what_is_no_tuned_model_is_told(workspace: Workspace, name: str, words: str) -> None:
    if name == "words":
        tuned(workspace.folder, name, "sparse")
    with pytest.raises(InputError, match=words):
        promote(workspace, name)


@pytest.mark.slow
def test_a_build_that_is_stopped_leaves_what_answers_and_the_next_promotion_cleans_up(
    workspace: Workspace, wanted: Wanted
) -> None:
    left: list[int] = [10]

    def stop() -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        promote(workspace, "sharp", wanted=wanted, witness=Witness(done=stop))
    assert workspace.catalog.versions() == ["v1"] and workspace.live()[1].parts == {} and sound(workspace)
    # As a kill leaves it: nobody had the time to remove anything.
    build_beside(workspace, {"embedder": "poisoned"}, Progress(SILENT))
    assert workspace.catalog.versions() == ["v1", "v2"] and workspace.live()[0] == "v1"
    assert promote(workspace, "sharp", wanted=wanted).accepted
    assert workspace.catalog.manifests()[workspace.live()[0]].parts == {"embedder": "sharp"}
    assert len(workspace.catalog.versions()) == 2 and sound(workspace)


@pytest.mark.slow
def test_documents_that_come_and_go_during_a_build_are_as_they_should_be_after_the_switch(
    workspace: Workspace, wanted: Wanted, folder: Path
) -> None:
    bring(workspace, texts([200, 201]))
    done: list[int] = []

    def meanwhile() -> None:
        done.append(1)
        if len(done) == DOCUMENTS + 5:  # while questions are asked
            for number, name in ((100, "new.md"), (101, "200.md")):
                (folder / name).write_text(document(number))
                file = SourceFile(folder / name, f"docs/{name}")
                add_file(workspace, file, Progress(SILENT), access=Access())
            hide_document(workspace, workspace.catalog.sources()["docs/201.md"])

    assert promote(workspace, "sharp", wanted=wanted, witness=Witness(done=meanwhile)).accepted
    assert len(done) > DOCUMENTS + 5 and sound(workspace)
    assert found(workspace, 100) == "docs/new.md" and found(workspace, 101) == "docs/200.md"
    assert "docs/201.md" not in workspace.catalog.sources()


@pytest.mark.slow
def test_two_promotions_at_once_are_refused(workspace: Workspace, wanted: Wanted) -> None:
    def again() -> None:
        promote(workspace, "sharper", wanted=wanted)

    with pytest.raises(WorkspaceBusy, match="a promotion"):
        promote(workspace, "sharp", wanted=wanted, witness=Witness(done=again))
    assert workspace.live()[1].parts == {}


def test_the_exam_must_be_there_and_large_enough(workspace: Workspace, folder: Path, wanted: Wanted) -> None:
    with pytest.raises(InputError, match="no data set of another domain is named"):
        promote(workspace, "sharp")
    (workspace.folder / "tuning" / "questions" / "questions.jsonl").unlink()
    with pytest.raises(InputError, match="no held-out questions to measure with; make some"):
        promote(workspace, "sharp")
    few = folder / "few.jsonl"
    write_lines(few, questions(count=29))
    with pytest.raises(InputError, match="has 29 questions that can be measured with; wanted at least 30"):
        promote(workspace, "sharp", wanted=Wanted(few, skip_outside=True))
    with pytest.raises(InputError, match="brings no documents"):
        promote(workspace, "sharp", wanted=Wanted(wanted.questions, few))


def test_held_out_questions_whose_documents_have_changed_are_left_out(workspace: Workspace) -> None:
    bring(workspace, [SourceText("docs/0.md", document(101))])
    exam = exam_for(workspace, "embedder", Wanted(skip_outside=True))
    assert (len(exam.questions.items), exam.left_out) == (DOCUMENTS - 1, 1)
    assert {item.metadata["part"] for item in exam.questions.items} == {"test"}
    assert str(exam.gate[0]) == "nDCG@10>0"
    assert str(exam_for(workspace, "reader", Wanted(skip_outside=True)).gate[0]) == "iou>0"


@pytest.mark.slow
def test_an_index_whose_promoted_model_has_changed_is_refused_with_what_to_do(
    workspace: Workspace, wanted: Wanted, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(workspace, "sharp", wanted=wanted)
    workspace.close()
    again = Workspace(workspace.config)

    def changed(*given: Any, **named: Any) -> Any:
        encoder = encoders(*given, **named)
        encoder.fingerprint = "other"
        return encoder

    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", changed)
    with pytest.raises(IndexDamaged, match=r"index v2 was made with tuned/sharp .* the promoted model is"):
        _ = again.retriever
    again.close()


@pytest.mark.slow
def test_beside_a_qdrant_server_another_process_takes_the_switch_up_and_loses_no_query_that_runs(
    folder: Path, prepared: Path, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qdrant_client import QdrantClient

    shared = QdrantClient(":memory:")
    closing = shared.close
    monkeypatch.setattr(shared, "close", lambda: None)
    monkeypatch.setattr("ragwright.retrieval.server.connect", lambda *given, **named: shared)
    config = config_in(folder, **{"index.url": "http://qdrant.example:6333"})
    promoting, serving = Workspace(config), Workspace(config)
    bring(promoting, texts(range(DOCUMENTS)))
    for name in ("sharp", "sharper"):
        tuned(promoting.folder, name)
    exam = Wanted(prepared / "own.jsonl", skip_outside=True, gate=("nDCG@10>=-0.3",))
    with serving.asked() as first:
        assert promote(promoting, "sharp", wanted=exam).accepted
        assert first is not None and first.search("whatever is found"), "it began before the switch"
    assert serving.models.parts == {"embedder": "sharp"}
    assert serving.encoder.fingerprint == "print of sharp"
    promote(promoting, "sharper", wanted=exam)
    with serving.asked() as second:
        roll_back(promoting)
        assert second is not None and second.search("whatever is found"), "and so did this one"
    with serving.asked() as third:
        assert third is not second and third is not None and third.search("whatever is found")
    assert serving.live() == promoting.live() and sound(serving)
    assert promoting.catalog.versions() == ["v2", "v3"], "what was left goes with the next promotion"
    roll_back(promoting)
    assert promoting.live()[1].parts == {} and sound(promoting)
    promoting.close()
    serving.close()
    closing()


@pytest.mark.slow
def test_a_reranker_a_reader_and_a_router_are_used_once_promoted_and_no_more_once_taken_back(
    workspace: Workspace, wanted: Wanted, encoders: Encoders
) -> None:
    settings: dict[str, Any] = {"id2label": {"0": "score"}, "label2id": {"score": 0}}
    pairs = tuned(workspace.folder, "pairs", "reranker") / "model"
    small_transformer(pairs, head="ForSequenceClassification", **settings)
    small_reader(tuned(workspace.folder, "marks", "reader") / "model")
    base = workspace.live()[1].fingerprint
    write_routing_table(workspace.folder / "tuned" / "router.json", RoutingTable("base", base))
    own = workspace.config.tune.model_copy(update={"gate": ("nDCG@10>=-1",), "reader_gate": ("iou>=-1",)})
    workspace.config = workspace.config.model_copy(update={"tune": own})
    asked = " ".join(words_of(3, 24).split()[:6])
    plain = [(hit.chunk.id, hit.score) for hit in workspace.retriever.search(asked)]
    exam = Wanted(wanted.questions, skip_outside=True)
    for name in ("pairs", "marks", "router"):
        assert promote(workspace, name, wanted=exam).accepted
    version, manifest = workspace.live()
    assert (version, manifest.parts) == ("v1", {"reranker": "pairs", "reader": "marks", "router": "router"})
    assert workspace.search_options().rerank == "cross" and workspace.models.reranker_name == "tuned/pairs"
    assert workspace.models.reader is not None
    hit = workspace.retriever.search(asked)[0]
    assert "reranked" in hit.scores and "expert_base" in hit.scores
    for name in ("router", "marks", "pairs"):
        assert roll_back(workspace).name == name
    assert workspace.search_options().rerank == "none" and workspace.models.reader is None
    assert [(hit.chunk.id, hit.score) for hit in workspace.retriever.search(asked)] == plain
