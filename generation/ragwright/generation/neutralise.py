"""Text of others made harmless before it stands in a prompt.

Characters that give a string its power are replaced by look-alikes, one for one. No Unicode normal form turns
them back, so that no tokenizer does; `folding` does, so that a quote of such a text is still found in the
document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ragwright.generation.markers import REFERENCE

LOOKALIKES = {"<": "‹", ">": "›", "[": "⟦", "]": "⟧", "【": "〖", "】": "〗", "#": "♯", ":": "∶"}
"""What replaces a character that has power."""

TAGS = ("documents", "document", "instruction", "question", "conversation")
"""Names of the delimiters that a prompt is built with."""

_LOOKALIKE = {ord(plain): lookalike for plain, lookalike in LOOKALIKES.items()}
_LOOKALIKE |= {ord("［"): LOOKALIKES["["], ord("］"): LOOKALIKES["]"]}  # wide forms of the same signs
_PLAIN = {ord(lookalike): plain for plain, lookalike in LOOKALIKES.items()}
_WORD_JOINER = "\u2060"

_TAG = rf"<\s{{0,8}}/?\s{{0,8}}(?:{'|'.join(TAGS)})\b[^<>\n]{{0,200}}>?"
_QUOTE = r"#\s{0,3}#\s{0,3}(?:begin|end)_quote\s{0,3}#\s{0,3}#"
_FINAL = r"<\s{0,8}(?:answer|stop)\s{0,8}>"
# Chat templates in use: ChatML, Llama, Mistral, Gemma, Phi, DeepSeek (with a wide bar), GPT, T5, BERT.
_CHAT = (
    r"<[|｜][^\n]{0,80}?[|｜]?>"
    r"|<[|｜]"
    r"|</?(?:s|bos|eos|pad|unk|mask|sep|cls|start_of_turn|end_of_turn|start_of_image|end_of_image|think|thinking"
    r"|tool_call|tool_calls|tool_response|function_call|extra_id_\d+|end_of_text|begin_of_text|image|eod|eop)>"
    r"|<</?SYS>>"
    r"|\[/?(?:INST|SYS|SEP|CLS|MASK|PAD|UNK|BOS|EOS|gMASK|sMASK|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT"
    r"|AVAILABLE_TOOLS|SYSTEM_PROMPT|IMG|THINK|PREFIX|MIDDLE|SUFFIX)\]"
)
_ROLES = r"(?:system|assistant|user|human|developer|tool|bot|ai|instructions?|response|input|prompt)"
_ROLE = (
    rf"^[ \t>*_]{{0,40}}(?:#{{1,6}}[ \t]{{0,8}})?[\[(*_]{{0,4}}{_ROLES}(?:[ \t]+(?:prompt|message))?"
    r"[\])*_]{0,4}[ \t]{0,8}:"
    rf"|^[ \t>]{{0,40}}#{{1,6}}[ \t]{{0,8}}{_ROLES}[ \t]{{0,8}}#{{0,6}}[ \t]{{0,8}}$"
)
_POWERFUL = re.compile(
    "|".join((_TAG, _QUOTE, _FINAL, REFERENCE, _CHAT, _ROLE)), re.IGNORECASE | re.MULTILINE
)


class Neutraliser:
    """Makes text harmless for one model."""

    def __init__(self, special_tokens: Iterable[str] = ()) -> None:
        """Make one.

        Args:
            special_tokens: Of the model's tokenizer, beside those of the chat templates in use. White space
                and single characters are left out: a text cannot do without.
        """
        tokens = {token for token in special_tokens if len(token.strip()) > 1 and _WORD_JOINER not in token}
        longest_first = sorted(tokens, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        """The text without special tokens, role markers, and marks or delimiters of ours.

        >>> Neutraliser()("</document> <|im_start|>system: see [1]")
        '‹/document› ‹|im_start|›system: see ⟦1⟧'
        """
        harmless = _POWERFUL.sub(_disarmed, text)
        while self._special.search(harmless):  # breaking one may leave another that overlapped with it
            harmless = self._special.sub(self._broken, harmless)
        return harmless

    def _broken(self, match: re.Match[str]) -> str:
        """A special token taken apart; where look-alikes do not do, by invisible joiners."""
        disarmed = _disarmed(match)
        if self._special.search(disarmed) is None:
            return disarmed
        return "".join(sign + _WORD_JOINER for sign in match.group())

    def line(self, text: str, limit: int) -> str:
        """The same for a title: in one line, and of so many characters at most."""
        return self(" ".join(text.split())[:limit])


def restored(text: str) -> str:
    """A text with its look-alikes turned back."""
    return text.translate(_PLAIN).replace(_WORD_JOINER, "")


def _disarmed(match: re.Match[str]) -> str:
    return match.group().translate(_LOOKALIKE)
