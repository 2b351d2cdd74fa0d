// Asking: a question becomes a stream of statuses, pieces of text with their citations, and an end.

import { call, events } from "./client.js";
import { marker as markerCharacter, unmarked } from "./markdown.js";

/** Ask, and yield what comes: `{status}` and `{text, citations}` any number of times, and at last `{end}`. */
export async function* ask({ collection, model, messages, evidence, signal }) {
  const rag = { citations: "markers", side_calls: "answer", ...(evidence === null ? {} : { evidence }) };
  const response = await call("/v1/chat/completions", { method: "POST", body: { model, messages, stream: true, rag }, signal });
  const citationOf = citationIn(collection);
  let length = 0; // of the text so far, in characters as the server counts them
  for await (const { choices, rag } of events(response)) {
    if (rag?.status) yield { status: rag.status };
    const { delta = {}, finish_reason: reason = null } = choices?.[0] || {};
    if (delta.content) {
      const notes = (delta.annotations || []).map((each) => each.url_citation);
      yield { text: withMarkers(delta.content, notes, length), citations: notes.map(citationOf) };
      length += Array.from(delta.content).length;
    }
    if (reason) yield { end: endOf(rag || {}, reason, citationOf) };
  }
}

/** A piece of text in which each marker is one character. What merely looks like one stays as it is. */
function withMarkers(text, notes, before) {
  const characters = Array.from(unmarked(text));
  for (const { marker, start_index: start, end_index: end } of notes.toSorted((a, b) => b.start_index - a.start_index)) {
    characters.splice(start - before, end - start, markerCharacter(marker));
  }
  return characters.join("");
}

/** Reads citations as the server writes them, in an annotation or in its list. */
const citationIn = (collection) => (given) => {
  const { marker, start, end, quote, state, source, title, headings, page } = given;
  const documentId = given.document_id || given.file_id;
  return { marker, documentId, start, end, quote, state, source, title, headings, page, collection };
};

/** What a turn takes over at its end. */
function endOf(told, reason, citationOf) {
  return {
    state: reason === "length" ? "cut" : "done",
    refused: Boolean(told.refused),
    traceId: told.trace_id || null,
    support: told.support ?? null,
    citations: (told.citations || []).map(citationOf),
  };
}
