"""`ragwright search`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.app.conftest import MAIN
from typer.testing import Result

Run = Callable[..., Result]
QUESTION = "torque of the axlebox cover bolts"


def hits(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("search", QUESTION, "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["hits"]
    return found


def test_hit_is_shown_with_title_place_and_evidence_with_offsets(in_demo: Path, run: Run) -> None:
    lines = run("search", QUESTION, "-n", "1", "--filter", "type=pdf").stdout.splitlines()
    assert lines[0].startswith("1. Occurrence report OCC-2025-008: hot axlebox on 330104 › ")
    assert lines[1].startswith("   documents/records/occ-2025-008-hot-axlebox.pdf, page 1 [")
    assert all(line.startswith("   ") and line.endswith("]") for line in lines[1:])


def test_json_holds_hits_whose_evidence_lies_in_their_text(in_demo: Path, run: Run) -> None:
    found = hits(run)
    assert [hit["score"] for hit in found] == sorted((hit["score"] for hit in found), reverse=True)
    for hit in found:
        start = hit["chunk"]["span"]["start"]
        for evidence in hit["evidence"]:
            inside = slice(evidence["span"]["start"] - start, evidence["span"]["end"] - start)
            assert hit["chunk"]["text"][inside] == evidence["text"]


def test_lower_evidence_share_gives_more_evidence(in_demo: Path, run: Run) -> None:
    lengths = [
        sum(len(each["text"]) for hit in hits(run, "--evidence", share) for each in hit["evidence"])
        for share in ("0", "0.8", "1")
    ]
    assert lengths == sorted(set(lengths), reverse=True)
    assert lengths[-1] > 0


def test_budget_bounds_the_evidence(in_demo: Path, run: Run) -> None:
    words = [
        len(each["text"].split())
        for hit in hits(run, "--evidence", "0", "--budget", "60")
        for each in hit["evidence"]
    ]
    assert 0 < sum(words) <= 60


def test_limit_and_filters_hold(in_demo: Path, run: Run) -> None:
    assert len(hits(run, "--limit", "3")) == 3
    found = hits(run, "--filter", "type=pdf", "--filter", "page=1")
    assert found
    assert {(hit["metadata"]["type"], hit["chunk"]["page"]) for hit in found} == {("pdf", 1)}
    [source] = {hit["source"] for hit in hits(run, "--filter", "source=documents/manuals/faq.html")}
    assert source == "documents/manuals/faq.html"


def test_every_mode_finds_and_explain_shows_its_part(in_demo: Path, run: Run) -> None:
    for mode, present, absent in (("dense", "dense", "sparse"), ("lexical", "sparse", "dense")):
        scores = hits(run, "--mode", mode)[0]["scores"]
        assert present in scores
        assert absent not in scores
        shown = run("search", QUESTION, "--mode", mode, "--explain").stdout
        assert f"   scores: {present} " in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([""], "the query '' holds no letters or digits; ask in words"),
        (["?!"], "the query '?!' holds no letters or digits; ask in words"),
        (["x", "--limit", "0"], "search.limit is 0; wanted a whole number from 1 to 1000"),
        (["x", "--evidence", "2"], "search.evidence is 2.0; wanted a number from 0 to 1"),
        (["x", "--budget", "0"], "search.budget is 0; wanted a whole number from 1 to 1000000"),
        (
            ["x", "--rerank", "twice"],
            'search.rerank is "twice"; wanted one of "none", "evidence", "late", "cross"',
        ),
        (["x", "--mode", "fuzzy"], 'search.mode is "fuzzy"; wanted one of "hybrid", "dense", "lexical"'),
        (["x", "--filter", "pdf"], 'the filter "pdf" is not of the form key=value, such as type=pdf'),
        (["x", "--filter", "page=²"], "the filter page is '²'; wanted a whole number of at most 9 digits"),
        (["x", "--filter", f"page={10**20 - 1}"], "wanted a whole number of at most 9 digits, such as 12"),
        (["x", "--workspace", "elsewhere"], "holds no documents; run: ragwright ingest PATH"),
        (["x", "--config", "no.toml"], "no configuration file at no.toml; ragwright init writes one"),
    ],
)
def test_wrong_request_is_one_sentence_that_says_what_is_wanted(
    in_demo: Path, run: Run, arguments: list[str], sentence: str
) -> None:
    result = run("search", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_missing_or_further_words_are_wrong_usage(run: Run) -> None:
    assert run("search").exit_code == 2
    assert run("search", "two", "words").exit_code == 2


def test_query_of_ten_thousand_words_is_answered(in_demo: Path, run: Run) -> None:
    assert run("search", "torque wrench " * 5000, "-n", "1").stdout.startswith("1. ")


def test_nothing_found_names_the_filter(in_demo: Path, run: Run) -> None:
    result = run("search", "bolts", "--filter", "type=doc")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "nothing was found with type=doc\n")
    assert json.loads(run("search", "bolts", "--filter", "type=doc", "--json").stdout)["hits"] == []


def test_settings_of_a_folder_above_are_found(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ragwright.toml").write_text("search.limit = 1\n", encoding="utf-8")
    (project / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "down")
    found = hits(run)
    assert len(found) == 1
    assert found[0]["source"].startswith("docs/")


def test_own_domain_is_found_from_another_folder(
    folder: Path, encoder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index keeps the profile's absolute path, so that it does not matter where a search starts."""
    (folder / "own.toml").write_text('extends = "general"\n', encoding="utf-8")
    (folder / "crane.txt").write_text("The crane lifts forty tons.\n", encoding="utf-8")
    assert run("ingest", "crane.txt", "--domain", "./own.toml").exit_code == 0
    (folder / "away").mkdir()
    monkeypatch.chdir(folder / "away")
    result = run("search", "crane", "--workspace", str(folder / ".ragwright"))
    assert (result.exit_code, "crane.txt" in result.stdout) == (0, True), result.output


def test_text_that_stands_twice_is_shown_once_with_both_places(project: Path, run: Run) -> None:
    (project / "docs" / "copy.md").write_bytes((project / "docs" / "harbour.md").read_bytes())
    run("ingest", "docs")
    output = run("search", "key of the tide gate").stdout
    assert output.count("keeps the key") == 1
    assert "   also in docs/harbour.md [" in output or "   also in docs/copy.md [" in output


def test_reranking_by_evidence_is_shown_as_a_part_of_the_score(in_demo: Path, run: Run) -> None:
    for hit in hits(run, "--rerank", "evidence"):
        assert hit["score"] == hit["scores"]["reranked"]
    shown = run("search", QUESTION, "--rerank", "evidence", "--explain").stdout
    assert "reranked 0." in shown
    assert "reranked" not in run("search", QUESTION, "--explain").stdout
    assert run("ask", QUESTION, "--rerank", "evidence").exit_code == 0


def test_names_cannot_steer_the_terminal(folder: Path, encoder: Path, run: Run) -> None:
    (folder / "a b\x1b[31m\u202e.txt").write_text("The anchor\x1b[2J is rusty.", encoding="utf-8")
    for result in (run("ingest", "."), run("search", "anchor"), run("ask", "anchor"), run("status")):
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output
    assert "a b\\x1b[31m\\u202e.txt" in run("search", "anchor").stdout


HOLDER = """
import sys, time
from pathlib import Path
from ragwright.core.lock import workspace_lock
with workspace_lock(Path(".ragwright"), purpose="ragwright ingest"):
    print("held", flush=True)
    sys.stdin.readline()
    time.sleep(0.3)
"""


def test_search_waits_for_a_writer_and_says_so(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        monkeypatch.setattr("ragwright.app.access._SEARCH_WAITS_SECONDS", 0.2)
        impatient = run("search", "crane")
        monkeypatch.setattr("ragwright.app.access._SEARCH_WAITS_SECONDS", 10.0)
        holder.stdin.write("end\n")
        holder.stdin.flush()
        patient = run("search", "crane")
    held = f"is held by process {holder.pid} (ragwright ingest, since "
    assert impatient.exit_code == 1
    assert held in impatient.stderr
    assert impatient.stderr.splitlines()[1].endswith("; wait until it ends")
    assert (patient.exit_code, "docs/mail/crane.txt" in patient.stdout) == (0, True)
    assert held in patient.stderr
    assert "waiting up to 10 s" in patient.stderr


@pytest.mark.slow
def test_reader_that_has_seen_enough_is_no_error(in_demo: Path) -> None:
    command = f"{sys.executable} -c '{MAIN}' search bolts | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] == "0"


@pytest.mark.slow
def test_search_of_a_process_of_its_own_loads_no_torch(
    in_demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = f"""
import atexit, sys
heavy = ('torch', 'transformers', 'unstructured', 'spacy', 'pypdfium2', 'fastapi')
atexit.register(lambda: print([name for name in heavy if name in sys.modules], file=sys.stderr))
{MAIN}
"""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "search", QUESTION], capture_output=True, text=True, check=True
    )
    with capsys.disabled():
        print(f" cold search: {time.perf_counter() - started:.2f} s", end="")  # noqa: T201 - the measurement
    assert done.stdout.startswith("1. ")
    assert done.stderr == "[]\n"
