"""The page for everyone: axe-core in every state and both themes, keyboard, small screens, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.app.serve.page.browser import DESK, ENTER, ESCAPE, PHONE, SHIFT, SMALLEST, TAB, Page
from tests.app.serve.page.script import Script, evidence

from ragwright.core.errors import InputError
from ragwright.core.types import AnswerRequest, Citation

pytestmark = pytest.mark.slow

QUESTION = "When does the ferry leave?"


def three_states(request: AnswerRequest) -> tuple[Citation, ...]:
    """The best evidence, cited once in each state."""
    first = evidence(request)[0]
    states = ("exact", "normalised", "elsewhere")
    return tuple(replace(first, marker=n, state=state) for n, state in enumerate(states, 1))  # type: ignore[arg-type]


def welcome(page: Page, script: Script) -> None:
    page.one(".shelf li")


def answer(page: Page, script: Script) -> None:
    """An answer with everything that Markdown has, and citations of each state."""
    page.one(".shelf li")
    script.reset(
        text="# A heading\n\nThe ferry leaves at *seven* [1] and **returns** [2].\n\n"
        "- `code`\n- a [link](https://x.example)\n\n"
        "| Hour | What |\n|---|---|\n| seven | leaves [3] |\n\n> a quote\n\n```\nfixed = 1\n```",
        support=0.4,
        cite=three_states,
    )
    page.ask(QUESTION)
    page.click("[data-source='1'] .source-uses")


def card(page: Page, script: Script) -> None:
    answer(page, script)
    page.one("#question").send_keys(SHIFT, TAB)
    page.script("document.querySelector('.chip').focus()")
    page.one(".card")


def source(page: Page, script: Script) -> None:
    answer(page, script)
    page.click(".chip")
    page.one(".panel mark")


def trace(page: Page, script: Script) -> None:
    answer(page, script)
    page.click(".actions button:nth-of-type(3)")
    page.one(".trace")
    for summary in page.many(".trace summary"):
        page.script("arguments[0].click()", summary)


def documents(page: Page, script: Script) -> None:
    page.click("#show-documents")
    page.one(".rows .named")
    page.click("[aria-label='Delete Harbour']")


def feedback(page: Page, script: Script) -> None:
    answer(page, script)
    page.click("[aria-label='Bad: this answer']")
    page.one(".why")


def refusal(page: Page, script: Script) -> None:
    page.one(".shelf li")
    script.reset(text="The documents do not answer this.", refused=True)
    page.ask("How high is the ferry?")


def failure(page: Page, script: Script) -> None:
    page.one(".shelf li")
    script.reset(text="So far", error=InputError("the model fell asleep"))
    page.ask("What happens?")


def writing(page: Page, script: Script) -> None:
    page.one(".shelf li")
    script.reset(text="word " * 300, pause=0.2)
    page.ask("Go on for long", wait=False)
    page.until(lambda: "word" in page.text(".text"), "some words")


STATES: tuple[Callable[[Page, Script], None], ...] = (
    welcome,
    answer,
    card,
    source,
    trace,
    documents,
    feedback,
    refusal,
    failure,
    writing,
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state.__name__))
def test_axe_finds_nothing_serious(page: Page, script: Script, state: Any, scheme: str) -> None:
    page.visit(scheme=scheme)
    state(page, script)
    assert page.axe() == []


@pytest.mark.parametrize("state", [answer, source, documents], ids=lambda state: str(state.__name__))
def test_axe_finds_nothing_serious_on_a_phone(page: Page, script: Script, state: Any) -> None:
    page.visit(size=PHONE)
    state(page, script)
    assert page.axe() == []


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state.__name__))
def test_nothing_scrolls_sideways_at_320_pixels(page: Page, script: Script, state: Any) -> None:
    page.visit(size=SMALLEST)
    state(page, script)
    assert page.sideways() <= 0


def test_words_without_a_break_do_not_widen_the_page(page: Page, script: Script) -> None:
    page.visit(size=SMALLEST).one(".shelf li")
    long = "unbroken" * 60
    script.reset(text=f"{long} [1] `{long}`\n\n# {long}\n\n- {long}\n\n> {long}\n\nhttps://x.example/{long}")
    page.ask(long)
    assert page.sideways() <= 0


def test_what_is_pressed_is_at_least_24_pixels_each_way(page: Page, script: Script) -> None:
    for size in (DESK, PHONE):
        page.visit(size=size)
        feedback(page, script)
        small = page.script(
            """return Array.from(document.querySelectorAll('button, select, input, .source-open, summary'))
              .map((each) => [each, (each.closest('label') || each).getBoundingClientRect()])
              .filter(([, box]) => box.width > 0 && (box.width < 24 || box.height < 24))
              .map(([each]) => each.outerHTML.slice(0, 100))"""
        )
        assert small == []


def test_everything_is_reached_by_keyboard_in_the_order_of_reading(page: Page, script: Script) -> None:
    page.visit().one(".shelf li")
    page.press(TAB)
    assert page.focused() == "Skip to the question"
    page.press(ENTER)
    page.press(QUESTION, ENTER)
    page.one(".actions")
    page.script("document.querySelector('#new-chat').focus()")
    reached = []
    for _ in range(12):
        page.press(TAB)
        reached.append(page.focused())
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert page.script(outline) == "solid", f"the focus on {reached[-1]} cannot be seen"
        if reached[-1] == "Bad: this answer":
            break
    wanted = ["Edit this question", "Source 1: ferry", "Open in its document", "Open source 1: ferry"]
    wanted += ["Good: source 1", "Copy", "Retry", "Trace", "Good: this answer"]
    places = [reached.index(each) for each in wanted]
    assert places == sorted(places)


def test_the_drawer_of_a_phone_keeps_the_focus_and_gives_it_back(page: Page, script: Script) -> None:
    page.visit(size=PHONE).one(".shelf li")
    page.ask(QUESTION)
    page.click(".chip")
    page.one(".panel mark")
    assert page.script("return document.querySelector('.panel').matches(':modal')")
    for _ in range(8):
        page.press(TAB)
        inside = "const at = document.activeElement; return at === document.body || !!at.closest('.panel')"
        assert page.script(inside)
    page.press(ESCAPE)
    page.gone(".panel")
    assert page.focused().startswith("Source 1")


def test_the_panel_changes_between_beside_and_drawer_with_the_width(page: Page, script: Script) -> None:
    page.visit().one(".shelf li")
    page.ask(QUESTION)
    page.click(".chip")
    page.one(".panel mark")
    modal = "return document.querySelector('.panel').matches(':modal')"
    assert not page.script(modal)
    page.resize((700, 800))
    page.until(lambda: page.script(modal), "a drawer")
    assert page.text(".panel mark")


def test_nothing_moves_where_movement_is_unwanted(page: Page, script: Script) -> None:
    page.visit().one(".shelf li")
    writing(page, script)
    assert page.script("return document.getAnimations().length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_pictures(page: Page, script: Script, tmp_path: Path, scheme: str, size: tuple[int, int]) -> None:
    """Kept by pytest for whoever looks at them; a picture of a page that shows nothing is small."""
    page.visit(scheme=scheme, size=size)
    source(page, script)
    assert page.screenshot(tmp_path / "page.png").stat().st_size > 10_000
