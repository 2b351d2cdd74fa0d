// Thumbs, with reasons and free words, on an answer and on each of its citations.

import { json } from "./client.js";
import { announce, button, make } from "./dom.js";

// The names are the server's; the words are this page's.
const OF_ANSWER = {
  wrong: "Not right",
  incomplete: "Something is missing",
  unsupported: "The sources do not say this",
  irrelevant: "Not what I asked",
  unclear: "Hard to understand",
  outdated: "Out of date",
  "should-refuse": "It should have refused",
  "should-answer": "The documents do answer this",
};
const OF_CITATION = {
  "wrong-source": "The wrong document",
  "wrong-place": "The wrong place in it",
  "not-supporting": "Does not support the sentence",
  outdated: "Out of date",
  irrelevant: "Has nothing to do with it",
};

/**
 * The two thumbs of an answer (marker 0) or of one of its citations; `changed` is called when one was kept.
 *
 * @param {import("./conversation.js").Turn} turn
 */
export function thumbs(turn, marker, changed) {
  const what = marker ? `source ${marker}` : "this answer";
  const both = [1, -1].map((rating) => {
    const [drawing, word] = rating > 0 ? ["good", "Good"] : ["bad", "Bad"];
    return button("", () => rate(rating), { drawing, label: `${word}: ${what}`, class: "quiet thumb" });
  });
  const node = make("span.thumbs", { role: "group", "aria-label": `Rate ${what}` }, both);

  function show(rating) {
    both[0].setAttribute("aria-pressed", String(rating === 1));
    both[1].setAttribute("aria-pressed", String(rating === -1));
  }
  async function rate(rating) {
    show(rating);
    const said = { trace_id: turn.traceId, rating, marker: marker || null };
    if (await say(node, said)) {
      turn.ratings[marker] = rating;
      changed();
      askWhy(node, said);
    }
    show(turn.ratings[marker]);
  }
  show(turn.ratings[marker]);
  return node;
}

/** Send a rating; whether it was kept. */
async function say(node, rating) {
  try {
    await json("/v1/feedback", { method: "POST", body: rating });
    return true;
  } catch (error) {
    note(node, `Not kept: ${error.message}`);
    return false;
  }
}

/** Ask for reasons below; the rating itself is kept already. */
function askWhy(node, rating) {
  const place = node.closest(".source-list > li, .answer");
  place.querySelector(":scope > .why")?.remove();
  const isGood = rating.rating > 0;
  const reasons = Object.entries(isGood ? {} : rating.marker ? OF_CITATION : OF_ANSWER);
  const boxes = reasons.map(([value, words]) => make("label.reason", null, make("input", { type: "checkbox", value }), words));
  const words = "In your own words, if you like";
  const text = make("textarea", { rows: 2, maxlength: 4000, "aria-label": words, placeholder: words, dir: "auto" });
  const close = () => {
    why.remove();
    node.querySelector('[aria-pressed="true"]').focus();
  };
  const send = async (event) => {
    event.preventDefault();
    const chosen = Array.from(why.querySelectorAll("input:checked"), ({ value }) => value);
    if (!(await say(node, { ...rating, reasons: chosen, text: text.value.trim() }))) return;
    close();
    note(node, "Noted, thank you.");
  };
  const why = make(
    "form.why",
    { onsubmit: send },
    make("b", null, `Thank you. What was ${isGood ? "good" : "wrong"}?`),
    make("div.reasons", null, boxes),
    text,
    make("div.row", null, button("Send", () => {}, { type: "submit", class: "primary" }), button("No, thank you", close)),
  );
  place.append(why);
  (why.querySelector("input") || text).focus();
}

/** A short word behind the thumbs, read aloud too. */
function note(node, words) {
  node.querySelector(".note")?.remove();
  node.append(make("span.note", null, words));
  announce(words);
}
