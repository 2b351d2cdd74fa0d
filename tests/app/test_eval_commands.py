"""`ragwright eval`: runs, comparisons, gates, sweeps and data sets, with the real encoder and index."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.app.conftest import copy, encoder_settings, loaded_once
from tests.eval.scripted_judge import ScriptedJudge, serving
from typer.testing import CliRunner, Result

from ragwright.app import sweeping
from ragwright.app.cli import app
from ragwright.core.config import load_config
from ragwright.eval.runs import read_run

Run = Callable[..., Result]

TEXTS = {
    "harbour.md": (
        "# Harbour\n\nThe harbour master keeps the key of the tide gate. The gate is closed at nine each "
        "evening.\n\n## Dues\n\nA fishing boat pays four crowns a night. "
        "A yacht pays eleven crowns a night.\n"
    ),
    "ferry.txt": (
        "The ferry leaves at seven and returns at nine. Dogs travel free of charge on the upper deck. "
        "In winter the ferry does not sail on Mondays.\n"
    ),
    "crane.txt": (
        "The crane on the east quay lifts forty tons. It was built in 1931 and repainted in 1987. "
        "Nobody may stand below the hook while a load hangs from it.\n"
    ),
}
QUOTES = {
    "Who keeps the key of the tide gate?": (
        "harbour.md",
        "The harbour master keeps the key of the tide gate.",
    ),
    "What does a yacht pay for a night?": ("harbour.md", "A yacht pays eleven crowns a night."),
    "When does the ferry leave?": ("ferry.txt", "The ferry leaves at seven and returns at nine."),
    "Do dogs travel free?": ("ferry.txt", "Dogs travel free of charge on the upper deck."),
    "How many tons does the crane lift?": ("crane.txt", "The crane on the east quay lifts forty tons."),
    "When was the crane built?": ("crane.txt", "It was built in 1931 and repainted in 1987."),
}


def question(number: int, text: str, source: str, quote: str) -> dict[str, Any]:
    start = TEXTS[source].index(quote)
    reference = {"source": source, "start": start, "end": start + len(quote), "text": quote}
    return {"id": f"q{number}", "question": text, "answer": quote, "references": [reference]}


@pytest.fixture
def dataset(folder: Path, encoder: Path) -> Path:
    """A native data set with three documents, six questions with an answer and one without."""
    return data_set_in(folder)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """A project folder with the data set and its run `only`, without answers; to be copied."""
    project = tmp_path_factory.mktemp("evaluated")
    arguments = ["eval", "run", str(data_set_in(project)), "--name", "only", "--no-answers"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragwright.retrieval.encoder.load_encoder", loaded_once)
        patch.chdir(project)
        done = CliRunner(env=encoder_settings(model_cache)).invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return project


@pytest.fixture
def with_run(folder: Path, encoder: Path, evaluated: Path) -> Path:
    """The data set of the current folder, which has been evaluated as the run `only`."""
    for each in evaluated.iterdir():
        copy(each, folder)
    return folder / "set"


def data_set_in(folder: Path) -> Path:
    """Write the data set."""
    place = folder / "set"
    place.mkdir()
    rows = [question(number, text, *where) for number, (text, where) in enumerate(QUOTES.items(), 1)]
    rows.append({"id": "q7", "question": "Which bank finances the lighthouse?", "answerable": False})
    write(place / "questions.jsonl", rows)
    write(place / "documents.jsonl", [{"source": name, "text": text} for name, text in TEXTS.items()])
    return place


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_run_measures_everything_and_keeps_what_is_needed_to_read_it_again(dataset: Path, run: Run) -> None:
    result = run("eval", "run", str(dataset), "--name", "first", "--json")
    assert result.exit_code == 0, result.output
    told = document(result)
    assert told["measures"]["recall"]["n"] == 6
    assert told["measures"]["answered_unanswerable"]["n"] == 1
    assert told["measures"]["quote_fidelity"]["mean"] == 1.0
    assert {key: value for key, value in told["dataset"].items() if "digest" not in key} == {
        "name": "set", "format": "native", "questions": 7, "answerable": 6, "documents": 3,
    }  # fmt: skip
    assert told["frontier"][0]["recall"] >= told["frontier"][-1]["recall"]
    assert told["peak_megabytes"] > 0
    names = {path.name for path in Path(".ragwright/runs/first").iterdir()}
    assert names == {
        "manifest.json", "outcomes.jsonl", "rows.jsonl", "rows.csv", "report.html", "run.trec", "qrels.trec",
        "ragas.jsonl",
    }  # fmt: skip
    kept = read_run(Path(".ragwright/runs/first"))
    assert [outcome.question.id for outcome in kept.outcomes] == [f"q{n}" for n in range(1, 8)]
    assert kept.outcomes[0].gold == ("The harbour master keeps the key of the tide gate.",)
    for outcome in kept.outcomes:
        for found in outcome.found:
            assert TEXTS[found.source][found.span.start : found.span.end] == found.text


def test_the_same_run_twice_gives_the_same_rows_and_passes_the_gate(dataset: Path, run: Run) -> None:
    for name in ("first", "second"):
        changes = ("--perturb", "typos", "--perturb", "irrelevant", "--perturb", "contradicting")
        assert run("eval", "run", str(dataset), "--name", name, *changes).exit_code == 0
    first, second = (read_run(Path(f".ragwright/runs/{name}")) for name in ("first", "second"))
    assert first.rows == second.rows
    assert {"recall~typos", "quote_fidelity~contradicting"} <= {row.measure for row in first.rows}
    gate = run(
        "eval", "gate", "second", "--baseline", "first", "--require", "iou>=0", "--require", "recall>=0"
    )
    assert gate.exit_code == 0, gate.output
    assert "the gate is passed\n" in gate.stdout


def test_a_worse_configuration_is_refused_with_exit_code_4(dataset: Path, run: Run) -> None:
    run("eval", "run", str(dataset), "--name", "good")
    worse = ("--set", "search.limit=1", "--set", "search.evidence=0")
    run("eval", "run", str(dataset), "--name", "worse", *worse)
    compared = run("eval", "compare", "worse", "good", "--measure", "iou", "--json")
    [difference] = document(compared)["comparison"]["differences"]
    assert difference["difference"] < -0.01
    assert difference["losses"] > difference["wins"]
    assert Path(document(compared)["report"]).is_file()
    gate = run("eval", "gate", "worse", "--baseline", "good", "--require", "iou>=-0.01")
    assert gate.exit_code == 4
    assert "failed: iou changed by -" in gate.stdout
    assert read_run(Path(".ragwright/runs/worse")).manifest["config"]["search.limit"] == 1


def test_a_floor_bounds_the_value_itself(with_run: Path, run: Run) -> None:
    assert run("eval", "gate", "only", "--floor", "recall>=0.1").exit_code == 0
    assert run("eval", "gate", "only", "--floor", "iou>=1").exit_code == 4


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((), "no rule was given"),
        (("--require", "iou>=0"), "name one with --baseline"),
        (("--floor", "iou<=0.5"), "higher is better, so write >="),
        (("--floor", "speed>=0.5"), "unknown measure"),
        (("--floor", "faithfulness>=0.5"), "no values of faithfulness"),
    ],
)
def test_a_gate_without_a_rule_that_can_be_checked_is_an_error_not_a_pass(
    with_run: Path, run: Run, rules: tuple[str, ...], said: str
) -> None:
    result = run("eval", "gate", "only", *rules)
    assert result.exit_code == 1
    assert said in result.stderr


def test_the_present_workspace_answers_when_the_data_set_has_no_documents(
    dataset: Path, folder: Path, run: Run
) -> None:
    (dataset / "documents.jsonl").unlink()
    result = run("eval", "run", str(dataset))
    assert result.exit_code == 1
    assert "holds no documents" in result.stderr
    write(dataset / "documents.jsonl", [])
    ingest(folder, run, dataset)
    result = run("eval", "run", str(dataset / "questions.jsonl"), "--json")
    assert result.exit_code == 0, result.output
    assert document(result)["ingest"] is None
    assert document(result)["measures"]["chunk_recall"]["mean"] == 1.0


def test_documents_of_any_format_can_be_evaluated_without_a_workspace_of_their_own(
    dataset: Path, folder: Path, run: Run
) -> None:
    (dataset / "documents.jsonl").unlink()
    papers = folder / "papers"
    papers.mkdir()
    for name, text in TEXTS.items():
        (papers / name).write_text(text, encoding="utf-8")
    result = run("eval", "run", str(dataset), "--documents", str(papers), "--json", "--no-answers")
    assert result.exit_code == 0, result.output
    assert document(result)["ingest"]["added"] == 3
    assert "quote_fidelity" not in document(result)["measures"]
    assert not Path(".ragwright/catalog.sqlite3").exists()


def test_a_label_that_does_not_fit_names_its_row_and_leaves_no_run(dataset: Path, run: Run) -> None:
    rows = [json.loads(line) for line in (dataset / "questions.jsonl").read_text().splitlines()]
    rows[1]["references"][0]["start"] += 3
    rows[1]["references"][0]["end"] += 3
    write(dataset / "questions.jsonl", rows)
    result = run("eval", "run", str(dataset))
    assert result.exit_code == 1
    assert "questions.jsonl:2" in result.stderr
    assert not list(Path(".ragwright").glob("runs/*"))


def test_a_question_that_cannot_be_asked_scores_zero_and_is_listed(dataset: Path, run: Run) -> None:
    stated = [json.loads(line) for line in (dataset / "questions.jsonl").read_text().splitlines()]
    stated[0]["question"] = "???"
    write(dataset / "questions.jsonl", stated)
    result = run("eval", "run", str(dataset), "--name", "hurt")
    assert result.exit_code == 1
    assert "failed question q1" in result.stderr
    values = {
        r.measure: r.value for r in read_run(Path(".ragwright/runs/hurt")).rows if r.question_id == "q1"
    }
    assert values["recall"] == values["nDCG@10"] == values["citation_recall"] == 0.0
    assert values["refused_answerable"] == 1.0


def test_overlap_can_be_counted_in_tokens_and_as_the_published_code_does(dataset: Path, run: Run) -> None:
    told = document(run("eval", "run", str(dataset), "--tokens", "--published", "5", "--json"))
    assert told["units"].startswith("tokens of all-MiniLM-L6-v2 (")
    assert {"compat_recall", "compat_iou", "compat_omega"} <= told["measures"].keys()


@pytest.mark.slow
def test_a_sample_is_compared_with_the_same_sample_only(dataset: Path, run: Run) -> None:
    run("eval", "run", str(dataset), "--name", "all")
    run("eval", "run", str(dataset), "--name", "some", "--sample", "3")
    assert len(read_run(Path(".ragwright/runs/some")).outcomes) == 3
    result = run("eval", "compare", "some", "all")
    assert result.exit_code == 1
    assert "data set" in result.stderr


def test_chunking_is_measured_without_loading_the_encoder(
    dataset: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr("ragwright.retrieval.encoder.load_encoder", refuse)
    result = run("eval", "chunking", str(dataset), "--tokens", "16", "--tokens", "128", "--json")
    assert result.exit_code == 0, result.output
    cuts = {(each["strategy"], each["tokens"]): each for each in document(result)["cuts"]}
    assert len(cuts) == 8
    assert cuts["sentence", 16]["omega"]["mean"] > cuts["sentence", 128]["omega"]["mean"]
    assert cuts["sentence", 128]["whole"] == 1.0


@pytest.mark.slow
def test_a_sweep_writes_the_best_configuration_and_goes_on_where_it_stopped(
    dataset: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = ("--vary", "chunk.tokens=32,128", "--vary", "search.evidence=0.2,0.9", "--rule", "recall>=0.5")
    first = run("eval", "sweep", str(dataset), *axes, "--json")
    assert first.exit_code == 0, first.output
    told = document(first)
    assert len(told["candidates"]) == 4
    assert told["held_out"]["iou"]["n"] in range(1, 6)
    best = tomllib.loads(Path(told["written"]).read_text(encoding="utf-8"))
    assert best["chunk"]["tokens"] == told["best"]["chunk.tokens"]
    assert load_config(flags={}, file=Path(told["written"]), environ={}).config.search.evidence in (0.2, 0.9)
    lines = Path(told["results"]).read_text(encoding="utf-8").splitlines()
    Path(told["results"]).write_text("\n".join([*lines[:3], lines[3][:40]]), encoding="utf-8")
    asked: list[object] = []
    measure = sweeping._measure_search

    def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return measure(*arguments)

    monkeypatch.setattr(sweeping, "_measure_search", counted)
    again = run("eval", "sweep", str(dataset), *axes, "--json")
    assert document(again) | {"results": 0} == told | {"results": 0}
    assert len(asked) == 1


@pytest.mark.slow
def test_a_sweep_over_the_present_workspace_cuts_its_documents_anew(
    dataset: Path, folder: Path, run: Run
) -> None:
    ingest(folder, run, dataset)
    axes = ("--vary", "chunk.tokens=16,200", "--vary", "search.evidence=0.5", "--held-out", "0")
    told = document(run("eval", "sweep", str(dataset / "questions.jsonl"), *axes, "--json"))
    small, large = (each["means"]["precision_omega"] for each in told["candidates"])
    assert small > large


@pytest.mark.slow
def test_a_sweep_measures_again_when_a_document_changed(dataset: Path, folder: Path, run: Run) -> None:
    ingest(folder, run, dataset)
    axes = ("--vary", "search.evidence=0.5", "--held-out", "0", "--json")
    before = document(run("eval", "sweep", str(dataset / "questions.jsonl"), *axes))
    (folder / "crane.txt").write_text(TEXTS["crane.txt"] + "The crane is blue.\n", encoding="utf-8")
    run("ingest", *TEXTS)
    after = document(run("eval", "sweep", str(dataset / "questions.jsonl"), *axes))
    assert before["results"] != after["results"]


def ingest(folder: Path, run: Run, dataset: Path) -> None:
    """The documents of the data set become those of the workspace."""
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    assert run("ingest", *TEXTS).exit_code == 0
    (dataset / "documents.jsonl").unlink()


def test_chunk_settings_that_the_index_was_not_made_with_are_refused(
    dataset: Path, folder: Path, run: Run
) -> None:
    ingest(folder, run, dataset)
    result = run("eval", "run", str(dataset / "questions.jsonl"), "--set", "chunk.tokens=32")
    assert result.exit_code == 1
    assert "was cut as structure-200-0" in result.stderr


def test_whole_documents_are_judged_without_any_evidence_measure(
    dataset: Path, folder: Path, run: Run
) -> None:
    rows = [{"question": text, "references": [{"source": source}]} for text, (source, _) in QUOTES.items()]
    write(dataset / "questions.jsonl", rows)
    told = document(run("eval", "run", str(dataset), "--json"))
    assert told["frontier"] == []
    assert "iou" not in told["measures"]
    assert told["measures"]["nDCG@10"]["mean"] > 0.9


def test_runs_of_one_name_do_not_overwrite_each_other(with_run: Path, run: Run) -> None:
    result = run("eval", "run", str(with_run), "--name", "only", "--no-answers")
    assert result.exit_code == 1
    assert "there is a run only" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--present", "--documents", "."), "exclude each other"),
        (("--published", "50"), "search.limit=50"),
        (("--name", ""), "no plain folder name"),
        (("--perturb", "nonsense"), "no perturbation"),
        (("--perturb", "irrelevant", "--no-answers"), "leave --no-answers out"),
        (("--judge",), "judge.url"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    dataset: Path, run: Run, options: tuple[str, ...], said: str
) -> None:
    result = run("eval", "run", str(dataset), *options)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_sweep_says_when_no_configuration_keeps_the_rule(dataset: Path, run: Run) -> None:
    result = run("eval", "sweep", str(dataset), "--vary", "search.evidence=0.0", "--rule", "precision>=1")
    assert result.exit_code == 1
    assert "none of 1 configurations keeps the rule precision>=1" in result.stderr


def test_a_sweep_varies_only_what_retrieval_depends_on(dataset: Path, run: Run) -> None:
    result = run("eval", "sweep", str(dataset), "--vary", "answer.spans=1,2")
    assert result.exit_code == 1
    assert "wanted a setting of domain, chunk, encoder or search" in result.stderr


def test_a_data_set_is_converted_and_split_by_document(dataset: Path, run: Run) -> None:
    assert run("eval", "convert", str(dataset), "beir", "--to", "beir").exit_code == 0
    assert {path.name for path in Path("beir").iterdir()} == {"corpus.jsonl", "queries.jsonl", "qrels"}
    assert run("eval", "convert", str(dataset), "beir").exit_code == 1  # it is there already
    result = run("eval", "split", str(dataset), "parts", "--part", "a=0.5", "--part", "b=0.5", "--json")
    assert result.exit_code == 0, result.output
    assert sum(part["questions"] for part in document(result)["parts"].values()) == 7
    assert run("eval", "run", "parts/a", "--no-answers").exit_code == 0


def test_an_unknown_run_names_the_latest_ones(with_run: Path, run: Run) -> None:
    result = run("eval", "compare", "unknown", "only")
    assert result.exit_code == 1
    assert "the latest here are: only" in result.stderr


@pytest.mark.slow
def test_a_language_model_judges_what_the_product_answered(dataset: Path, run: Run) -> None:
    """The real ragas against a scripted endpoint; what was judged before is not asked again."""
    pytest.importorskip("ragas.metrics.collections", exc_type=ImportError)
    with serving(ScriptedJudge(question="When does the ferry leave?")) as judge:
        options = ("--judge", "--set", f"judge.url={judge.url}", "--set", "judge.model=scripted", "--json")
        first, second = (document(run("eval", "run", str(dataset), *options)) for _ in range(2))
    assert first["measures"]["faithfulness"]["mean"] == 1.0  # quotes stand in the context
    assert {"answer_relevancy", "context_recall", "factual_correctness"} <= first["measures"].keys()
    assert first["judge"]["failed"] == []
    assert (first["judge"]["calls"] > 0, second["judge"]["calls"]) == (True, 0)
    assert second["measures"] == first["measures"]
