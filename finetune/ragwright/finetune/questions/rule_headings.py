"""Questions that a section answers, and questions that a document asks itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragwright.finetune.questions.english import base_of, verbs_of, word_list
from ragwright.finetune.questions.persons import FIRST, turned
from ragwright.finetune.questions.scene import Draft, Scene
from ragwright.finetune.questions.surface import Sentence, plain, words_of
from ragwright.finetune.questions.tokens import BE, DO
from ragwright.finetune.questions.wording import finished

HEADING, FAQ = "heading-1", "faq-1"
_MOST_SENTENCES = 12  # of a section that one question asks for
_ANSWER = 3  # sentences behind a question in running text
_ASKS = re.compile(
    r"^(?:what|how|why|when|where|who|which|can|do|does|did|is|are|may|must|should|will|whom|whose|am)\b",
    re.IGNORECASE,
)
_HOW_TO = re.compile(r"^how to\s+", re.IGNORECASE)
_EMBEDDED = re.compile(
    r"^(?P<word>(?:what|which)(?: (?!we\b|you\b)[\w-]+){0,3}|how|when|why|where|who) (?P<who>we|you) "
    r"(?!are\b|can\b|may\b|will\b|have\b|must\b|should\b)(?P<rest>\w.*?)\??$",
    re.IGNORECASE,
)
_THIS = re.compile(r"\b(?:this|these)\b")
_MARKED = re.compile(r"^\s*Q(?:uestion)?(?:\s?\d{1,3})?[:.]\s*", re.IGNORECASE)


def heading_questions(scene: Scene) -> Iterator[Draft]:
    """Questions that the sections of a chunk answer, from their headings.

    A heading is the nearest title above the chunk, or one that stands in a line with its first sentence.
    """
    for section in scene.sections:
        heading = section.heading
        ranges = tuple(sentence.range for sentence in section.sentences[:_MOST_SENTENCES])
        if not heading:
            continue
        if scene.english and (found := _EMBEDDED.match(heading)):
            heading = f"{found['word']} do {found['who']} {found['rest']}?"
        elif scene.english and not heading.endswith("?"):
            heading = _inverted(heading)
        if heading.endswith("?"):
            yield Draft(_as_asked(heading, scene), ranges, "faq", HEADING, weight=1.6)
            continue
        for text, task, weight in of_heading(heading, scene):
            yield Draft(text, ranges, task, HEADING, weight=weight)


def asked_questions(scene: Scene) -> Iterator[Draft]:
    """Questions that stand in the text, with the sentences behind them as their answer."""
    for number, sentence in enumerate(scene.sentences):
        if not sentence.text.endswith("?"):
            continue
        answer = _answer(scene.sentences[number + 1 :])
        text = _MARKED.sub("", sentence.text)
        if answer and len(words_of(text)) >= 4:
            yield Draft(_as_asked(text, scene), tuple(one.range for one in answer), "faq", FAQ, weight=1.4)


def _answer(behind: list[Sentence]) -> list[Sentence]:
    """The sentences that answer a question before them; none where they are few words or questions."""
    answer: list[Sentence] = []
    for sentence in behind[:_ANSWER]:
        if sentence.text.endswith("?"):
            break
        answer.append(sentence)
    return answer if sum(len(words_of(one.text)) for one in answer) >= 8 else []


def _as_asked(heading: str, scene: Scene) -> str:
    """A question of the document as somebody asks it: not in capitals, and in the asker's persons."""
    text = small_heading(plain(heading).rstrip("?").strip(), scene)
    is_of_asker = re.search(r"\b(?:I|my|me)\b", text) is not None
    return finished(text if is_of_asker or not scene.english else turned(text, FIRST))


def of_heading(heading: str, scene: Scene) -> Iterator[tuple[str, str, float]]:
    """Questions from a heading that is none itself, each with its task and weight; none from an empty one."""
    words = words_of(heading)
    small = [word.lower() for word in words]
    if not words or len(words) > 10 or set(small) <= word_list("empty_headings") or is_addressed(heading):
        return
    topic = _THIS.sub("the", small_heading(heading, scene))
    if scene.english:
        topic = turned(topic, FIRST)
        if done := _to_do(topic):
            yield finished(f"how do I {done}"), "procedure", 1.3
            return
    topic = scene.loosener.nouns(topic, scene.chance, share=0.35)
    parent = small_heading(scene.headings[-2], scene) if len(scene.headings) > 1 else ""
    text = scene.template("heading", heading=topic, title=scene.title, sign=scene.sign, parent=parent)
    if text:
        yield text, "topic", 0.8


def is_addressed(heading: str) -> bool:
    """Whether a heading begins a sentence that goes on under it: "You need"."""
    return heading.partition(" ")[0].lower() in ("you", "we", "i", "it", "they", "please")


def _inverted(heading: str) -> str:
    """A heading such as "How your data is kept" as a question; itself where it is none."""
    words = heading.split()
    small = [word.lower() for word in words]
    if not _ASKS.match(heading) or len(words) < 4:
        return heading
    helpers = word_list("modals") | BE
    if small[1] in helpers | DO or small[0] in helpers | DO:
        return f"{heading}?"
    place = next((place for place, word in enumerate(small) if word in helpers), 0)
    if place < 2 or place > 6 or small[0] not in ("how", "when", "why", "where", "what"):
        return heading
    return " ".join((words[0], small[place], *words[1:place], *words[place + 1 :])) + "?"


def _to_do(topic: str) -> str:
    """What a heading says is done, as "I" do it: "Choosing the wrench" gives "choose the wrench"."""
    if found := _HOW_TO.match(topic):
        return topic[found.end() :]
    first, _, rest = topic.partition(" ")
    base = base_of(first, "gerund")
    following = rest.partition(" ")[0].lower()
    fits = following in word_list("determiners") or (following and following not in word_list("prepositions"))
    return f"{base} {rest}" if base and rest and fits and following not in ("and", "or") else ""


def small_heading(heading: str, scene: Scene) -> str:
    """A heading with small letters where only the style of headings made them capital."""
    words = heading.split()
    titled = sum(word[:1].isupper() for word in words)
    if heading.isupper() and len(words) > 1:
        words = [word.lower() for word in words]
    elif len(words) > 1 and titled < 0.6 * len(words):
        return scene.vocabulary.small_start(heading, surely=True)
    return " ".join(
        word if scene.vocabulary.is_name(word) and not verbs_of(word) else word[:1].lower() + word[1:]
        for word in words
    )
