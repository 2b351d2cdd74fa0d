"""Asking: the status, the stream, and every way to stop it, ask it again or come back to it."""

from __future__ import annotations

import pytest
from tests.app.serve.page.browser import ENTER, ESCAPE, NULL, SHIFT, Page
from tests.app.serve.page.script import Script

from ragwright.core.errors import InputError

pytestmark = pytest.mark.slow


def test_the_status_is_told_before_the_first_word(page: Page, script: Script) -> None:
    script.reset(pause=0.3, step=8)
    page.ask("When does the ferry leave?", wait=False)
    page.until(lambda: "passage" in page.text(".status"), "the number of passages")
    assert "Writing" in page.text(".status")
    assert page.one("#log").get_attribute("aria-busy") == "true"
    assert not page.one("#stop").get_property("hidden") and page.many("#send")[0].get_property("hidden")
    page.one(".actions")
    assert page.one("#log").get_attribute("aria-busy") == "false" and not page.many(".status")


@pytest.mark.parametrize("how", ["button", "escape"])
def test_an_answer_is_stopped_and_asked_again(page: Page, script: Script, how: str) -> None:
    script.reset(text="word " * 400, pause=0.05, step=5)
    page.ask("Go on for long", wait=False)
    page.until(lambda: "word word" in page.text(".text"), "some words")
    if how == "button":
        page.click("#stop")
    else:
        page.press(ESCAPE)
    page.until(lambda: "Stopped." in page.text(".notice"), "the notice")
    assert page.text(".text").count("word") < 400
    script.reset(text="A whole answer [1].")
    page.click(".retry")
    page.until(lambda: "A whole answer" in page.text(".text"), "the new answer")
    page.one(".actions")
    assert len(page.many(".turn")) == 1


def test_the_last_question_can_be_edited_and_earlier_ones_cannot(page: Page, script: Script) -> None:
    page.ask("First question about ferries")
    page.ask("Second question about ferries")
    shown = [each.is_displayed() for each in page.many(".asked button")]
    assert shown == [False, True]
    page.click(".turn:last-child .asked button")
    field = page.one("#question")
    assert field.get_property("value") == "Second question about ferries" and len(page.many(".turn")) == 1
    field.send_keys(" at night", ENTER)
    page.until(lambda: len(page.many(".turn")) == 2, "the turn")
    page.one(".turn:last-child .actions")
    assert script.asked[-1].question == "Second question about ferries at night"
    assert [turn.role for turn in script.asked[-1].history] == ["user", "assistant"]
    assert script.asked[-1].history[1].text == "The ferry leaves at seven [1]."


def test_enter_asks_and_shift_enter_begins_a_line(page: Page, script: Script) -> None:
    field = page.one("#question")
    low = field.size["height"]
    field.send_keys("When does", SHIFT, ENTER, NULL, "the ferry leave?")
    assert field.get_property("value") == "When does\nthe ferry leave?" and field.size["height"] > low
    field.send_keys(ENTER)
    page.one(".actions")
    assert script.asked[-1].question == "When does\nthe ferry leave?"
    assert field.get_property("value") == "" and field.size["height"] == low


def test_an_error_is_told_with_the_request_and_what_came_before_it_stays(page: Page, script: Script) -> None:
    script.reset(text="So far so good", error=InputError("the model fell asleep"))
    page.ask("What happens?")
    assert "the model fell asleep" in page.text(".failure")
    assert len(page.text(".failure code")) >= 8
    assert page.text(".text") == "So far so good"
    script.reset()
    page.click(".retry")
    page.until(lambda: "leaves at seven" in page.text(".text"), "the answer")


def test_the_place_is_kept_while_an_answer_grows_unless_it_is_the_end(page: Page, script: Script) -> None:
    script.reset(text="\n\n".join(f"Paragraph {n}." for n in range(60)), step=12, pause=0.01)
    page.ask("Tell me a lot")
    page.ask("Tell me more", wait=False)
    page.until(lambda: "Paragraph 20" in page.text(".turn:last-child .text"), "half of the answer")
    page.script("document.querySelector('#scroll').scrollTop = 40")
    page.one(".turn:last-child .actions")
    assert page.script("return document.querySelector('#scroll').scrollTop") == 40
    page.click("#to-end")
    gap = "const a = document.querySelector('#scroll'); return a.scrollHeight - a.scrollTop - a.clientHeight"
    assert page.script(gap) < 2 and page.focused() == "question"


def test_a_reload_brings_the_conversation_back_and_new_chat_ends_it(page: Page) -> None:
    page.ask("When does the ferry leave?")
    page.visit(fresh=False)
    assert page.text(".turn h2") == "When does the ferry leave?"
    assert page.one(".chip").get_attribute("aria-label") == "Source 1: ferry"
    page.click("#new-chat")
    assert not page.many(".turn") and page.one("#welcome")
    page.visit(fresh=False)
    page.one(".shelf li")
    assert not page.many(".turn")


def test_an_answer_is_copied_with_footnotes(page: Page) -> None:
    page.session.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    page.ask("When does the ferry leave?")
    page.click(".actions button")
    page.until(lambda: page.text(".actions button") == "Copied", "the word")
    copied = page.session.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied.startswith("The ferry leaves at seven [1].\n\n[1] ferry (")


def test_the_finished_answer_is_one_addition_to_the_log(page: Page, script: Script) -> None:
    """A screen reader reads additions to the log; while the answer grows, they are none of its business."""
    script.reset(step=2, pause=0.01)
    page.script(
        """window.additions = [];
        new MutationObserver((records) => {
          for (const record of records) for (const node of record.addedNodes) {
            if (!record.target.closest?.('[aria-live=off]')) window.additions.push(node.textContent);
          }
        }).observe(document.querySelector('#log'), {childList: true, subtree: true});"""
    )
    page.ask("When does the ferry leave?")
    additions = page.script("return window.additions")
    assert sum("The ferry leaves" in each for each in additions) == 1
    assert page.one("#log").get_attribute("role") == "log"
