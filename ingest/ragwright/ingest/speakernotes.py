"""What the speaker of a PPTX wrote below the slides; the partitioner would put it above them."""

from __future__ import annotations

from io import BytesIO


def speaker_notes(data: bytes) -> dict[int, list[str]]:
    """The paragraphs of the notes by the number of their slide, from 1; only slides with notes."""
    from pptx import Presentation

    notes: dict[int, list[str]] = {}
    for number, slide in enumerate(Presentation(BytesIO(data)).slides, start=1):
        # Asking for the notes of a slide without any would make some.
        frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        paragraphs = [text for line in frame.paragraphs if (text := line.text.strip())] if frame else []
        if paragraphs:
            notes[number] = paragraphs
    return notes
