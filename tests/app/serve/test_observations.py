"""Traces and feedback are kept, shown to whom they belong, bounded in size and number, and forgotten."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.app.serve.kept_text import readable

from ragwright.app.serve.observations import FILE_NAME, Observations
from ragwright.app.serve.trace_record import MOST_BYTES, Record, stored, trace_record, without_documents
from ragwright.app.serve.values import LOCAL, Ask, Caller, Feedback, Trace
from ragwright.core.errors import IndexDamaged, InputError, ServiceError
from ragwright.core.types import (
    Access,
    Answer,
    Chunk,
    Citation,
    Evidence,
    Hit,
    Message,
    Place,
    Prompt,
    Scope,
    Span,
    Turn,
)

CANARY = "The vault code is 7319."


def trace(number: int = 1, *, caller: str = "a", tenant: str = "t", text: str = CANARY) -> Trace:
    span = Span("d1", 10, 10 + len(text))
    chunk = Chunk("c1", span, text, "", ("Vault",), 3, (span,), 8)
    hit = Hit(chunk, "vault.pdf", "Vault", 0.8, {"dense": 0.7}, (Evidence(span, text, 0.9),))
    citation = Citation(1, span, text, "exact", "vault.pdf", "Vault", ("Vault",), 3)
    answer = Answer(f"{text} [1]", (citation,), (hit,), refused=False, support=0.6, dropped=("made up",))
    return Trace(
        id=f"{number:032x}",
        at=1000.0 + number,
        caller=caller,
        tenant=tenant,
        collection="documents",
        generator="extractive",
        ask=Ask("What is the code?", filters={"type": "pdf"}, request_id="r1"),
        query="What is the vault code?",
        prompt=Prompt((Message("system", f"Evidence: {text}"),), tokens=20),
        answer=answer,
        seconds={"all": 0.5},
    )


def caller(name: str = "a", tenant: str = "t") -> Caller:
    return Caller(name, Scope(frozenset((tenant,)), None), access=Access(tenant))


def feedback(of: Trace, **changed: Any) -> Feedback:
    given = {"rating": -1, "marker": None, "reasons": ("wrong",), "text": "no", "at": 2.0, "id": "f" * 32}
    return Feedback(trace_id=of.id, caller=of.caller, **{**given, **changed})


def whole(record: Record) -> Record:
    """Of a trace everything is exported."""
    return record


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Observations]:
    observations = Observations.in_folder(tmp_path, traces=1000)
    yield observations
    observations.close()


def test_the_owner_sees_everything_of_a_trace(kept: Observations) -> None:
    kept.keep(trace())
    found = kept.trace(trace().id, LOCAL)
    assert found is not None
    assert found["prompt"]["messages"] == [{"role": "system", "text": f"Evidence: {CANARY}"}]
    assert found["hits"][0]["span"] == {"document_id": "d1", "start": 10, "end": 33}
    assert found["hits"][0]["scores"] == {"dense": 0.7}
    assert found["answer"]["citations"][0]["state"] == "exact"
    assert found["answer"]["support"] == 0.6
    assert found["request_id"] == "r1"
    assert found["ratings"] == []


def test_a_caller_sees_its_own_trace_without_prompt_scores_and_rejected_quotes(kept: Observations) -> None:
    kept.keep(trace())
    found = kept.trace(trace().id, caller())
    assert found is not None
    assert "prompt" not in found
    assert not {"score", "scores"} & {*found["hits"][0], *found["hits"][0]["evidence"][0]}
    assert not {"support", "dropped"} & found["answer"].keys()
    assert found["hits"][0]["evidence"][0]["text"] == CANARY


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("http://llm.corp.lan:9443/v1 cannot be reached", "failed"),
        ("failed: KeyError", "failed"),
        ("stopped", "stopped"),
        (None, None),
    ],
)
def test_only_those_who_see_everything_read_the_words_of_an_error(
    kept: Observations, error: str | None, told: str | None
) -> None:
    failed = replace(trace(), answer=None, error=error)
    kept.keep(failed)
    for who, words in ((LOCAL, error), (caller(), told)):
        assert kept.traces(who, limit=1)[0]["error"] == words
        found = kept.trace(failed.id, who)
        assert found is not None
        assert found["error"] == words
    kept.add_feedback(feedback(failed))
    assert "corp.lan" not in json.dumps(list(kept.export(whole)))


@pytest.mark.parametrize(("name", "tenant"), [("b", "t"), ("a", "u"), ("", ""), ("A", "t"), ("a'", "t")])
def test_another_key_or_tenant_sees_no_trace(kept: Observations, name: str, tenant: str) -> None:
    kept.keep(trace())
    kept.add_feedback(feedback(trace()))
    assert kept.trace(trace().id, caller(name, tenant)) is None
    for rated in (None, "any", "down"):
        assert kept.traces(caller(name, tenant), limit=10, rated=rated) == []


def test_traces_are_listed_newest_first_and_page_by_page(kept: Observations) -> None:
    for number in range(5):
        kept.keep(trace(number))
    kept.keep(trace(9, caller="b"))
    first = kept.traces(caller(), limit=2)
    then = kept.traces(caller(), limit=9, before=first[-1]["id"])
    assert [int(each["id"], 16) for each in (*first, *then)] == [4, 3, 2, 1, 0]
    assert len(kept.traces(LOCAL, limit=10)) == 6
    assert first[0]["question"] == "What is the code?"
    assert first[0]["citations"] == 1
    assert CANARY not in json.dumps(first)


def test_traces_are_found_by_refusal_and_rating(kept: Observations) -> None:
    answered, refused, failed = trace(1), trace(2), trace(3)
    kept.keep(answered)
    assert refused.answer
    kept.keep(replace(refused, answer=replace(refused.answer, refused=True)))
    kept.keep(replace(failed, answer=None, error="the model does not answer"))
    kept.add_feedback(feedback(answered))

    def ids(**wanted: Any) -> list[int]:
        return [int(each["id"], 16) for each in kept.traces(LOCAL, limit=10, **wanted)]

    assert (ids(refused=True), ids(refused=False), ids()) == ([2], [1], [3, 2, 1])
    assert (ids(rated="down"), ids(rated="up"), ids(rated="any")) == ([1], [], [1])
    assert kept.traces(LOCAL, limit=1)[0]["error"] == "the model does not answer"


def test_the_same_caller_and_target_again_replaces_the_rating(kept: Observations) -> None:
    kept.keep(trace())
    kept.add_feedback(feedback(trace()))
    kept.add_feedback(feedback(trace(), rating=1, reasons=(), text="", id="e" * 32))
    kept.add_feedback(feedback(trace(), marker=1, id="d" * 32))
    assert [(each["rating"], each["marker"]) for each in kept.feedback(limit=10)] == [(-1, 1), (1, None)]
    found = kept.traces(caller(), limit=1)[0]
    assert (found["up"], found["down"]) == (1, 1)


def test_a_rating_of_a_trace_that_is_gone_is_refused(kept: Observations) -> None:
    with pytest.raises(InputError, match="there is no trace"):
        kept.add_feedback(feedback(trace()))


def test_the_export_holds_rated_answers_alone_and_none_is_reviewed(kept: Observations) -> None:
    kept.keep(trace(1))
    kept.keep(trace(2))
    kept.add_feedback(feedback(trace(2)))
    (row,) = kept.export(whole)
    assert row["trace_id"] == trace(2).id
    assert row["question"] == "What is the code?"
    assert row["hits"][0]["evidence"][0]["span"]["start"] == 10
    assert row["ratings"][0]["reasons"] == ["wrong"]
    assert row["reviewed"] is False
    assert json.loads(json.dumps(row)) == row


def test_the_newest_traces_stay_and_rated_ones_do_not_count_among_them(tmp_path: Path) -> None:
    kept = Observations.in_folder(tmp_path, traces=20)
    kept.keep(trace(0))
    kept.add_feedback(feedback(trace(0)))
    for number in range(1, 80):
        kept.keep(trace(number))
    left = [int(each["id"], 16) for each in kept.traces(LOCAL, limit=1000)]
    assert left[:20] == list(range(79, 59, -1))
    assert left[-1] == 0
    assert len(left) <= 23
    kept.close()


def test_no_trace_is_kept_where_the_settings_say_none(tmp_path: Path) -> None:
    kept = Observations.in_folder(tmp_path, traces=0)
    kept.keep(trace())
    assert kept.traces(LOCAL, limit=10) == []
    kept.close()


def test_the_text_of_a_forgotten_document_is_gone_from_the_files(tmp_path: Path) -> None:
    kept = Observations.in_folder(tmp_path, traces=10)
    secret = os.urandom(1000).hex()  # a page of the file holds all of it, also when it is packed
    kept.keep(trace(1, text=secret))
    kept.keep(replace(trace(2), answer=None))
    assert secret[:40].encode() in readable(tmp_path), "the test would not see what stays"
    kept.forget(["d1"])
    found = kept.trace(trace(1).id, LOCAL)
    assert found is not None
    assert (found["hits"], found["prompt"], found["answer"]["text"]) == ([], None, "")
    assert found["redacted"] is True
    assert found["ask"]["question"] == "What is the code?"
    kept.close()
    assert secret[:40].encode() not in readable(tmp_path)


def test_not_a_piece_of_a_long_trace_stays_in_the_files(tmp_path: Path) -> None:
    """It lies on many pages; each is written over when its document is forgotten."""
    kept = Observations.in_folder(tmp_path, traces=10)
    kept.keep(trace(1, text=os.urandom(20_000).hex()))
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        ((body,),) = connection.execute("SELECT body FROM traces")
    connection.close()
    pieces = [body[at : at + 32] for at in range(0, len(body) - 32, 500)]

    def left() -> int:
        held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        return sum(piece in held for piece in pieces)

    assert left() > 0.9 * len(pieces) > 15, "the test would not see what stays"
    kept.forget(["d1"])
    assert left() == 0
    kept.close()


def follow_up(query: str = "What is 7319 for?") -> Trace:
    """A question after an answer that quoted a document which is not among its own hits."""
    turns = (Turn("user", "What is the code?"), Turn("assistant", f"{CANARY} [1]"))
    asked = Ask("What is it for?", history=turns)
    messages = (Message("user", "What is the code?"), Message("assistant", f"{CANARY} [1]"))
    return replace(trace(2, text="A safe."), ask=asked, query=query, prompt=Prompt(messages))


def everything(kept: Observations, of: Trace) -> str:
    """All that the owner can read of a trace, in lists and exports too."""
    return json.dumps([kept.trace(of.id, LOCAL), kept.traces(LOCAL, limit=9), list(kept.export(whole))])


def test_of_earlier_answers_a_trace_holds_the_length_alone(kept: Observations) -> None:
    kept.keep(follow_up())
    kept.add_feedback(feedback(follow_up()))
    found = kept.trace(follow_up().id, LOCAL)
    assert found is not None
    assert found["ask"]["history"] == [
        {"role": "user", "text": "What is the code?"},
        {"role": "assistant", "text": "", "characters": len(CANARY) + 4},
    ]
    assert found["prompt"]["messages"][1]["text"] == ""
    assert CANARY not in everything(kept, follow_up())
    assert kept.traces(LOCAL, limit=1)[0]["query"] == "", "a list quotes no earlier answer"


def test_a_query_of_the_users_own_words_is_listed(kept: Observations) -> None:
    kept.keep(follow_up("What is the code for?"))
    assert kept.traces(caller(), limit=1)[0]["query"] == "What is the code for?"


def test_a_query_that_may_quote_an_earlier_answer_goes_with_any_document(kept: Observations) -> None:
    kept.keep(follow_up())
    kept.add_feedback(feedback(follow_up()))
    assert "7319" in everything(kept, follow_up())
    kept.forget(["d9"])
    assert "7319" not in everything(kept, follow_up())
    found = kept.trace(follow_up().id, LOCAL)
    assert found is not None
    assert (found["query"], found["ask"]["history"], found["prompt"]) == ("", [], None)
    assert found["hits"][0]["text"] == "A safe."


def test_a_prompt_whose_answer_never_came_goes_with_any_document(kept: Observations) -> None:
    stopped = replace(trace(), answer=None, error="stopped")
    kept.keep(stopped)
    kept.forget(["d1"])
    assert CANARY not in everything(kept, stopped)


def test_history_and_rewritten_query_go_with_the_document_of_a_hit(kept: Observations) -> None:
    asked = Ask("What is it?", history=(Turn("user", "The vault code?"),))
    kept.keep(replace(trace(), ask=asked, query="What is the vault code?"))
    kept.add_feedback(feedback(trace()))
    kept.forget(["d1"])
    told = everything(kept, trace())
    assert "vault" not in told.lower()
    assert "What is it?" in told


def test_a_shortened_trace_goes_with_every_document_that_it_mentioned(kept: Observations) -> None:
    """Its lists are cut, so that they no longer name every document that its texts quote."""
    long = trace(text="ä" * 700)
    assert long.answer
    (hit,) = long.answer.hits
    others = [replace(hit, chunk=replace(hit.chunk, span=Span(f"d{n}", 0, 9))) for n in range(2, 300)]
    kept.keep(replace(long, answer=replace(long.answer, text=CANARY, citations=(), hits=(hit, *others))))
    kept.forget(["d299"])
    assert CANARY not in everything(kept, long)


def test_an_answer_that_was_being_made_while_its_document_went_is_kept_without_it(kept: Observations) -> None:
    kept.forget(["d1"])
    now = time.time()
    before, after = replace(trace(1), at=now - 5), replace(trace(2), at=now + 5)
    other = replace(follow_up(), id=f"{3:032x}", at=now - 5)
    for each in (before, after, other):
        kept.keep(each)
    found = kept.trace(before.id, LOCAL)
    assert found is not None
    assert (found["hits"], found["prompt"], found["answer"]["text"]) == ([], None, "")
    assert found["query"] == "" and CANARY not in json.dumps(found)
    later = kept.trace(after.id, LOCAL)
    assert later is not None
    assert later["answer"]["text"] == f"{CANARY} [1]", "it may be another document in the same place"
    left = kept.trace(other.id, LOCAL)
    assert left is not None
    assert left["query"] == "", "what may quote any document goes as well"


def test_a_key_is_told_apart_from_another_one_of_its_name(kept: Observations) -> None:
    kept.keep(trace(caller="web#1f3a9c0d2e4b5a67"))
    for name in ("web", "web#1f3a9c0d2e4b5a68", "web#1f3a9c0d2e4b5a67/ada"):
        assert kept.traces(caller(name), limit=9) == []
    assert len(kept.traces(caller("web#1f3a9c0d2e4b5a67"), limit=9)) == 1


def with_duplicate(document_id: str) -> Record:
    made = trace()
    assert made.answer
    copy = Place(Span(document_id, 0, 9), "board/secret.pdf")
    hits = tuple(replace(hit, duplicates=(copy,)) for hit in made.answer.hits)
    return trace_record(replace(made, answer=replace(made.answer, hits=hits)))


def test_a_duplicate_that_is_hidden_is_not_named_and_the_answer_stays() -> None:
    left = without_documents(with_duplicate("d2"), {"d2"})
    assert left["hits"][0]["duplicates"] == []
    assert left["answer"]["text"] == f"{CANARY} [1]"
    assert "redacted" not in left, "that something was left out would tell of the duplicate"
    assert "secret.pdf" not in json.dumps(left)
    assert without_documents(with_duplicate("d2"), {"d3"}) == with_duplicate("d2")


@pytest.mark.parametrize("size", [1_000, 100_000, 1_000_000])
def test_a_trace_is_never_larger_than_a_megabyte(size: int) -> None:
    long = trace(text="ä" * size)
    record = trace_record(replace(long, ask=replace(long.ask, filters={f"k{n}": "v" for n in range(5000)})))
    assert len(stored(record)) <= MOST_BYTES
    assert json.loads(stored(record))["id"] == long.id


@given(texts=st.lists(st.text(), max_size=5))
def test_any_text_can_be_kept(texts: list[str]) -> None:
    """Lone surrogates, NUL and emoji among them."""
    text = "\ud800\0😀".join(texts)
    assert json.loads(stored(trace_record(trace(text=text))))["hits"][0]["text"] == text


def test_names_that_utf_8_lacks_are_kept(kept: Observations) -> None:
    odd = trace(caller="\udcff", text="\udcff")
    kept.keep(odd)
    kept.add_feedback(feedback(odd, text="\udcff"))
    assert kept.trace(odd.id, caller("\udcff")) is not None


def test_many_threads_may_keep_and_look(kept: Observations) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 20):
            kept.keep(trace(number))
            assert kept.trace(trace(number).id, caller()) is not None

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(kept.traces(LOCAL, limit=1000)) == 80


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch(mode=0o644)
    kept = Observations.in_folder(tmp_path, traces=10)
    kept.keep(trace())
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    kept.close()


def test_a_file_that_cannot_be_opened_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ServiceError, match=r"cannot be opened \(Is a directory\); check its owner"):
        Observations.in_folder(tmp_path, traces=10)


def test_what_outlives_the_server_is_told_that_it_ended(kept: Observations) -> None:
    kept.close()
    with pytest.raises(ServiceError, match="is closed, since the server ends"):
        kept.traces(LOCAL, limit=1)


def test_a_folder_that_is_made_for_them_is_its_owner_s_alone(tmp_path: Path) -> None:
    Observations.in_folder(tmp_path / "new", traces=10).close()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_file_from_before_jobs_were_kept_gets_room_for_them(tmp_path: Path) -> None:
    """As two processes do that open it at once, the second as if it had not seen the first."""
    Observations.in_folder(tmp_path, traces=10).close()
    for _ in range(2):
        with sqlite3.connect(tmp_path / FILE_NAME) as connection:
            connection.execute("PRAGMA user_version=1")
        connection.close()
        kept = Observations.in_folder(tmp_path, traces=10)
        assert kept.jobs.of(LOCAL, collection="documents", limit=1) == []
        kept.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DROP TABLE jobs")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    kept = Observations.in_folder(tmp_path, traces=10)
    assert kept.jobs.of(LOCAL, collection="documents", limit=1) == []
    kept.close()


def test_what_was_kept_is_there_in_the_next_process(tmp_path: Path) -> None:
    first = Observations.in_folder(tmp_path, traces=10)
    first.keep(trace())
    second = Observations.in_folder(tmp_path, traces=10)  # without a clean end of the first
    assert second.trace(trace().id, LOCAL) is not None
    second.close()
    first.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(IndexDamaged, match="layout 99"):
        Observations.in_folder(tmp_path, traces=10)


def test_a_damaged_file_is_refused_and_a_trace_that_cannot_be_kept_harms_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all" * 100)
    with pytest.raises(IndexDamaged, match="is damaged"):
        Observations.in_folder(tmp_path, traces=10)
    (tmp_path / FILE_NAME).unlink()
    kept = Observations.in_folder(tmp_path, traces=10)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DROP TABLE mentions")
    connection.close()
    kept.keep(trace())
    assert "is not kept" in caplog.text
    kept.close()
