"""Bad input harms only itself: one sentence each, the rest is ingested, exit code 1, and nothing hangs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.app.bad_files import BAD, GOOD, write_files, write_oddities, zipped
from tests.app.conftest import DEMO, MAIN
from typer.testing import CliRunner, Result

from ragwright.app.cli import app
from ragwright.ingest.sandbox import parse_files

Run = Callable[..., Result]
Report = dict[str, Any]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[tuple[Path, Result]]:
    """A project with every bad file, and how its ingest ended; for reading only."""
    pytest.importorskip("reportlab")
    project = tmp_path_factory.mktemp("hostile")
    write_files(project / "docs")
    write_oddities(project / "docs" / "odd")
    workspace = str(project / ".ragwright")
    runner = CliRunner(env={"RAGWRIGHT_ENCODER__CACHE": str(model_cache)})
    yield project, runner.invoke(app, ["ingest", str(project / "docs"), "--workspace", workspace])


@pytest.fixture
def status(hostile: tuple[Path, Result], encoder: Path, run: Run) -> Report:
    workspace = str(hostile[0] / ".ragwright")
    report: Report = json.loads(run("status", "--json", "--documents", "--workspace", workspace).stdout)
    return report


@pytest.mark.parametrize("name", BAD)
def test_bad_file_fails_with_its_reason_on_one_line(hostile: tuple[Path, Result], name: str) -> None:
    _, result = hostile
    [line] = [line for line in result.stderr.splitlines() if line.startswith(f"failed docs/{name}: ")]
    assert BAD[name][1] in line


def test_good_files_among_bad_ones_are_ingested(hostile: tuple[Path, Result], status: Report) -> None:
    _, result = hostile
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    # Two links lead nowhere.
    assert result.stdout == (
        f"added {len(GOOD) + 1}, updated 0, skipped 0, deleted 0, failed {len(BAD) + 2}\n"
    )
    assert status["counts"]["documents"] == len(GOOD) + 1
    assert status["counts"]["failures"] == len(BAD)
    assert {source.rpartition("/")[2] for source in status["documents"]} >= {
        "good.md",
        "really-a-pdf.txt",
        "really-html.docx",
        "latin.txt",
        "undecodable.txt",
    }


@pytest.mark.parametrize(
    ("query", "name", "text"),
    [
        ("barges", "really-a-pdf.txt", "The lock keeper counts the barges."),
        ("ferry", "really-html.docx", "The ferry leaves at seven."),
        ("Hafenmeister Möwen", "latin.txt", "schläft während"),
        ("buoy", "undecodable.txt", "The buoy is red."),
        ("pilot", "hidden.md", "The pilot boards at dawn."),
        ("crane", "odd/folder.pdf/inside.txt", "The crane lifts forty tons."),
    ],
)
def test_mislabelled_file_is_read_as_what_it_is(
    hostile: tuple[Path, Result], encoder: Path, run: Run, query: str, name: str, text: str
) -> None:
    result = run("search", query, "-n", "1", "--workspace", str(hostile[0] / ".ragwright"))
    assert result.stdout.splitlines()[1].startswith(f"   docs/{name}")
    assert text in result.stdout


def test_names_are_escaped_and_hidden_characters_counted(hostile: tuple[Path, Result]) -> None:
    _, result = hostile
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert "removed 4 invisible characters from texts" in result.stderr


def test_pipes_and_links_do_no_harm(hostile: tuple[Path, Result]) -> None:
    _, result = hostile
    assert "left alone docs/odd/pipe.txt: its type is not supported" in result.stderr
    assert "failed docs/odd/dangling.txt: the file cannot be read: No such file or directory" in result.stderr
    assert "failed docs/odd/self.txt: the file cannot be read: Too many levels" in result.stderr
    assert "circle" not in result.output


def test_answer_from_a_hostile_workspace_is_checked_like_any_other(
    hostile: tuple[Path, Result], encoder: Path, run: Run
) -> None:
    workspace = str(hostile[0] / ".ragwright")
    result = run("ask", "Who keeps the key of the tide gate?", "--workspace", workspace)
    assert "harbour master keeps the key" in result.stdout
    assert run("doctor", "--workspace", workspace).exit_code == 0


def test_named_pipe_and_nested_archive_that_are_named_themselves_are_told(
    folder: Path, encoder: Path, run: Run
) -> None:
    os.mkfifo("pipe.txt")
    (folder / "outer.zip").write_bytes(zipped({"inner.zip": zipped({"a.txt": b"text"})}))
    result = run("ingest", "pipe.txt", "outer.zip")
    assert result.exit_code == 1
    assert "failed pipe.txt: is a named pipe, not a regular file" in result.stderr
    assert "failed outer.zip: is a zip archive, which is not supported" in result.stderr


@pytest.mark.parametrize(
    "megabytes",
    [1, *(pytest.param(size, marks=pytest.mark.slow) for size in (5, 50))],
    ids=lambda size: f"{size}MB",
)
def test_single_line_of_megabytes_ends_in_time_and_harms_no_other(
    folder: Path, encoder: Path, run: Run, megabytes: int
) -> None:
    (folder / "line.txt").write_bytes(b"x" * (megabytes * 1_000_000))
    (folder / "good.txt").write_text("The buoy is red.", encoding="utf-8")
    result = run("ingest", ".", RAGWRIGHT_INGEST__PARSE_CPU_SECONDS="20")
    assert "Traceback" not in result.output
    assert result.exit_code in (0, 1)
    assert "good.txt" in run("search", "buoy").stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_and_folder_without_permission_are_told(folder: Path, encoder: Path, run: Run) -> None:
    (folder / "shut.txt").write_text("text", encoding="utf-8")
    (folder / "shut.txt").chmod(0)
    (folder / "closed").mkdir(mode=0)
    result = run("ingest", ".")
    assert result.exit_code == 1
    assert "failed shut.txt: " in result.stderr
    assert "failed closed: the folder cannot be read: Permission denied" in result.stderr


def test_file_that_is_deleted_while_files_are_read_is_told(
    folder: Path, encoder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "fleeting.txt").write_text("text", encoding="utf-8")
    (folder / "good.txt").write_text("The buoy is red.", encoding="utf-8")

    def deleting(paths: list[Path], **settings: Any) -> object:
        (folder / "fleeting.txt").unlink()
        return parse_files(paths, **settings)

    monkeypatch.setattr("ragwright.ingest.pipeline.parse_files", deleting)
    result = run("ingest", ".")
    assert (result.exit_code, result.stdout[:7]) == (1, "added 1")
    assert "failed fleeting.txt: was deleted" in result.stderr


def tiny_model(folder: Path) -> None:
    """Write a BERT of random weights that knows single letters."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [mark + letter for letter in "abcdefghijklmnopqrstuvwxyz." for mark in ("", "##")]
    filling = [f"##filling{number}" for number in range(2000)]
    vocabulary = {name: number for number, name in enumerate([*names, *letters, *filling])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {f"{key}_token": f"[{key.upper()}]" for key in ("pad", "unk", "cls", "sep", "mask")}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=256, **special)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )
    BertModel(config).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_index_of_another_model_is_refused_until_it_is_rebuilt(project: Path, run: Run) -> None:
    tiny_model(project / "tiny")
    other = {"RAGWRIGHT_ENCODER__MODEL": "./tiny"}
    for command in (["search", "crane"], ["ask", "crane"], ["ingest", "docs"], ["forget", "docs"]):
        result = run(*command, **other)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "was made with all-MiniLM-L6-v2 (" in result.stderr
        assert "or run: ragwright ingest --rebuild" in result.stderr
    result = run("doctor", **other)
    assert (result.exit_code, "was made with all-MiniLM-L6-v2" in result.stdout) == (1, True)
    assert run("search", "crane").exit_code == 0
    assert run("ingest", "--rebuild", **other).stdout == "rebuilt the index: 3 documents, 3 chunks\n"
    assert run("search", "crane", **other).exit_code == 0
    assert "was made with" in run("search", "crane").stderr


def test_index_of_another_layout_is_refused_until_it_is_rebuilt(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwright.retrieval.payload.SCHEMA_VERSION", 99)
    for command in (["search", "crane"], ["ask", "crane"], ["ingest", "docs"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "and this version of ragwright reads 99; run: ragwright ingest --rebuild" in result.stderr
    assert run("ingest", "--rebuild").exit_code == 0
    assert run("search", "crane").exit_code == 0


def test_catalog_of_another_version_is_one_sentence(project: Path, run: Run) -> None:
    with sqlite3.connect(project / ".ragwright" / "catalog.sqlite3") as catalog:
        tables = [name for (name,) in catalog.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert "facts" in tables
        catalog.execute("UPDATE facts SET value = '99'")
    catalog.close()
    result = run("search", "crane")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "99" in result.stderr


SPY = """
import os, socket
def spied(name, real):
    def call(*arguments, **options):
        # Child processes talk to their parent through sockets of the file system and of the pair kind.
        local = name == "connect" and arguments[0].family == socket.AF_UNIX
        if not local:
            with open(os.environ["SPY_LOG"], "a") as log:
                log.write(f"{name} {arguments[-1]}\\n")
        return real(*arguments, **options)
    return call
class Socket(socket.socket):
    connect = spied("connect", socket.socket.connect)
    connect_ex = spied("connect", socket.socket.connect_ex)
    sendto = spied("sendto", socket.socket.sendto)
socket.socket = Socket
socket.getaddrinfo = spied("getaddrinfo", socket.getaddrinfo)
socket.create_connection = spied("create_connection", socket.create_connection)
with open(os.environ["SPY_LOG"], "a") as log:
    log.write("started\\n")
"""


@pytest.mark.slow  # .ci/run calls it by name
def test_nothing_leaves_the_machine(folder: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = folder / "spy.log"
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder / "site"), prepend=os.pathsep)
    monkeypatch.setenv("SPY_LOG", str(log))
    shutil.copytree(DEMO / "commercial", folder / "docs")
    shutil.copytree(DEMO / "mail", folder / "docs" / "mail")
    for command in (["ingest", "docs"], ["search", "wheelset"], ["ask", "What does a wheelset weigh?"]):
        done = subprocess.run([sys.executable, "-c", MAIN, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    lines = log.read_text(encoding="utf-8").splitlines()
    assert lines.count("started") >= 4  # the commands, and what the ingest starts
    assert [line for line in lines if line != "started"] == []
    subprocess.run([sys.executable, "-c", "import socket; socket.getaddrinfo('localhost', 1)"], check=True)
    assert "getaddrinfo 1" in log.read_text(encoding="utf-8")  # the spy is awake
