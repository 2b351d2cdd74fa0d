"""What a language model writes is located letter by letter, or dropped with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.finetune.questions.material import FERRY, question, subjects

from ragwright.core.types import Message
from ragwright.finetune.questions.asking import Request
from ragwright.finetune.questions.completions import Remembered
from ragwright.finetune.questions.model_source import VERSION, ModelSource, own_examples, rows_of
from ragwright.finetune.questions.quoting import QuoteFinder


class Scripted:
    """A writer that says what it was told to, and keeps its prompts."""

    name = "scripted"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.prompts: list[Sequence[Message]] = []

    def write(
        self, prompts: Sequence[Sequence[Message]], *, max_tokens: int, temperature: float
    ) -> list[str]:
        self.prompts += prompts
        return [self.texts.pop(0) if len(self.texts) > 1 else self.texts[0] for _ in prompts]


def row(question: str, *quotes: str, answer: str = "") -> str:
    return json.dumps({"question": question, "quotes": quotes, "answer": answer})


REQUEST = Request(subjects()[0], subjects()[0].chunks[0], wanted=3)


def test_quotes_become_exact_spans_that_need_not_be_neighbours() -> None:
    written = "Here they are:\n" + row(
        "When does the ferry sail?",
        "the ferry  LEAVES the quay at seven",
        "In winter the ferry does not sail on Mondays",
    )
    reply = ModelSource(Scripted(written)).ask([REQUEST])[0]
    found = reply.questions[0]
    assert found.quotes[0] == "The ferry leaves the quay at seven"
    assert [FERRY[span.start : span.end] for span in found.references] == list(found.quotes)
    assert len(found.references) == 2 and (found.recipe, found.origin, found.task) == (
        VERSION,
        "model",
        "condition",
    )


def test_a_quote_that_stands_nowhere_drops_its_row_with_the_reason() -> None:
    written = (
        row("Why?", "The ferry is blue.") + "\n" + row("Who?", "ferry") + "\n" + row("What?") + "\nnonsense"
    )
    reply = ModelSource(Scripted(written)).ask([REQUEST])[0]
    assert not reply.questions
    assert [audit.rule for audit in reply.audit] == ["not_located"] * 3
    assert "does not stand" in reply.audit[0].reason


def test_what_is_no_json_is_told_once() -> None:
    reply = ModelSource(Scripted("I cannot do that.")).ask([REQUEST])[0]
    assert [audit.rule for audit in reply.audit] == ["not_written"]
    assert "did not answer" in ModelSource(Scripted("")).ask([REQUEST])[0].audit[0].reason


def test_the_prompt_shows_examples_the_excerpt_and_what_was_asked() -> None:
    own = own_examples(
        [question("Do dogs pay?", ("ferry.txt", "Dogs travel free"))], {"ferry.txt": FERRY}.get
    )
    writer = Scripted("")
    request = Request(*(REQUEST.subject, REQUEST.chunk), wanted=2, asked=frozenset({"when does it sail?"}))
    ModelSource(writer, examples=own, harmless=lambda text: text.replace("quay", "QUAY")).ask([request])
    told = [message.text for message in writer.prompts[0]]
    assert [message.role for message in writer.prompts[0]] == ["system", "user", "assistant", "user"]
    assert "Do dogs pay?" in told[2] and "the QUAY at seven" in told[3]
    assert "Questions wanted: 2" in told[3] and "when does it sail?" in told[3]


def test_an_answer_is_remembered_over_a_kill(tmp_path: Path) -> None:
    path, prompt = tmp_path / "c.jsonl", [Message("user", "Ask!")]
    first = Scripted("one", "two")
    assert Remembered(first, path).write([prompt], max_tokens=9, temperature=0.0) == ["one"]
    with path.open("a") as file:
        file.write('{"prompt": "cut off')
    again = Scripted("three")
    kept = Remembered(again, path)
    assert kept.write([prompt, [Message("user", "More!")]], max_tokens=9, temperature=0.0) == ["one", "three"]
    assert len(again.prompts) == 1
    assert Remembered(Scripted("four"), path).write([prompt], max_tokens=9, temperature=0.5) == ["four"]


def test_objects_are_found_in_any_wrapping() -> None:
    text = '```json\n[{"question": "A?", "quotes": []}, {"no": 1}]\n``` {"question": "B?"} {broken'
    assert [each["question"] for each in rows_of(text)] == ["A?", "B?"]


@settings(max_examples=20)
@given(st.data())
def test_a_part_of_a_text_is_found_at_a_place_with_equal_words(data: st.DataObject) -> None:
    words = FERRY.split()
    start = data.draw(st.integers(0, len(words) - 3))
    end = data.draw(st.integers(start + 2, len(words)))
    quote = data.draw(st.sampled_from(["  ", "\n", " "])).join(words[start:end]).upper()
    place = QuoteFinder(FERRY).find(quote, preferred=(0, len(FERRY)))
    assert place is not None and FERRY[place[0] : place[1]].upper().split() == quote.split()


def test_a_quote_never_cuts_a_word_and_is_preferred_where_it_was_asked_for() -> None:
    finder = QuoteFinder("A valve. Nm 35 and 5 Nm. A valve.")
    assert finder.find("5 Nm") == (19, 23)
    assert finder.find("a valve") is None
    assert finder.find("a valve", preferred=(20, 33)) == (25, 32)
    assert finder.find("“Nm 35”") == (9, 14)
