// One question with its answer, as it comes in and once it is there.

import { card, Citations, footnote } from "./citations.js";
import { AUTO, button, counted, duration, icon, make } from "./dom.js";
import { thumbs } from "./feedback.js";
import { marker as markerCharacter, Markdown } from "./markdown.js";
import { showTrace } from "./trace.js";

const WEAK = 0.45; // support below which a person is told to look
const COPIED = 2000; // milliseconds for which a button says so

/** The text of an answer with its markers as they are written. */
export function plainText(turn) {
  return turn.citations.reduce((text, { marker }) => text.replaceAll(markerCharacter(marker), `[${marker}]`), turn.text);
}

/** The view of one turn. */
export class AnswerView {
  /**
   * @param {import("./conversation.js").Turn} turn
   * @param {{retry: () => void, edit: () => void, changed: () => void}} actions What asks the question again,
   *   what puts it back into the field, and what is called when a rating was kept.
   */
  constructor(turn, actions) {
    this.turn = turn;
    this.actions = actions;
    this.citations = new Citations((marker) => turn.traceId && thumbs(turn, marker, actions.changed));
    // Not read aloud while it grows; `#settle` puts the whole in its place, which is.
    this.text = this.citations.text = make("div.text", { "aria-live": "off" });
    this.markdown = new Markdown(this.text, (marker) => this.citations.chip(marker));
    this.waiting = ""; // text that the next frame shows
    this.status = make("p.status", { "aria-live": "off" });
    this.answer = make("div.answer", null, this.status, this.text);
    this.edit = button("", actions.edit, { drawing: "edit", label: "Edit this question" });
    const question = make("div.asked", null, make("h2", AUTO, turn.question), this.edit);
    this.node = make("article.turn", null, question, this.answer);
  }

  /** Show a turn that has ended already. */
  static of(turn, actions) {
    const view = new AnswerView(turn, actions);
    view.append(turn.text, turn.citations);
    view.end();
    return view;
  }

  /** What is being done, before there is text. */
  tell({ stage, passages = null, query = "" }) {
    const found = passages !== null && make("span.step", null, icon("done"), counted(passages, "passage"));
    const other = query && query !== this.turn.question && make("span", AUTO, `“${query}”`);
    const words = stage === "writing" ? "Writing …" : "Searching the documents …";
    this.status.replaceChildren(...[found, make("span.step.running", null, words), other].filter(Boolean));
  }

  /** Show more of the answer, in the next frame with all else that has come by then. */
  append(text, citations) {
    this.citations.add(citations);
    if (!this.waiting) requestAnimationFrame(() => this.#draw());
    this.waiting += text;
  }

  #draw() {
    if (this.waiting) this.markdown.append(this.waiting);
    this.waiting = "";
  }

  /** The turn has ended, in whatever way: its sources and what can be done with it. */
  end() {
    const { turn } = this;
    this.#draw();
    this.status.remove();
    this.citations.add(turn.citations);
    if (turn.refused) this.text.replaceChildren(this.#refusal());
    this.#settle();
    const sources = turn.citations.length && this.citations.makeList(turn.refused ? "Nearest passages" : "Sources");
    this.answer.append(...[this.#notice(), this.#failure(), sources, this.#actions()].filter(Boolean));
  }

  /** Put the finished text in place of the growing one: one addition to the log, which is read once. */
  #settle() {
    const focused = document.activeElement;
    const finished = make("div.text", null, Array.from(this.text.childNodes));
    this.text.replaceWith(finished);
    this.text = this.citations.text = finished;
    if (finished.contains(focused)) /** @type {HTMLElement} */ (focused).focus({ preventScroll: true });
  }

  #refusal() {
    const advice = make("p.muted", null, "Other words, or the name of a thing or a place, may find more.");
    const said = make("p", AUTO, this.turn.text);
    return make("div.notice.refusal", null, make("h3", null, "Not in your documents"), said, advice);
  }

  #notice() {
    const { state, refused, support } = this.turn;
    if (state === "stopped") return make("p.notice", null, "Stopped. This is not the whole answer.");
    if (state === "cut") return make("p.notice", null, "Cut off at the greatest length of an answer.");
    if (refused || state !== "done" || support === null || support >= WEAK) return null;
    return make("p.notice.weak", null, make("b", null, "Weakly supported."), " Look at the sources before you rely on this.");
  }

  #failure() {
    const { error } = this.turn;
    if (!error) return null;
    const request = error.requestId && make("p", null, "Request ", make("code", null, error.requestId));
    return make("div.notice.failure", { role: "alert" }, make("b", null, "No answer. "), error.message, request);
  }

  #actions() {
    const { turn, actions } = this;
    const copy = button("Copy", () => this.#copy(copy), { class: "quiet" });
    return make(
      "div.actions",
      null,
      turn.text && !turn.refused && copy,
      button("Retry", actions.retry, { class: "quiet retry" }),
      turn.traceId && button("Trace", () => showTrace(turn.traceId), { class: "quiet" }),
      turn.traceId && thumbs(turn, 0, actions.changed),
      turn.seconds > 0 && make("span.time", null, duration(turn.seconds)),
    );
  }

  /** Copy the answer, its sources as footnotes. */
  async #copy(pressed) {
    const text = [plainText(this.turn), this.turn.citations.map(footnote).join("\n")].filter(Boolean).join("\n\n");
    const words = pressed.querySelector("span");
    try {
      await navigator.clipboard.writeText(text);
      words.textContent = "Copied";
    } catch {
      words.textContent = "Not allowed here";
    }
    setTimeout(() => (words.textContent = "Copy"), COPIED);
  }

  /** Whether this is the last turn, which alone can be asked again in another way. */
  set isLast(isLast) {
    this.edit.hidden = !isLast;
    const retry = this.answer.querySelector(".retry");
    if (retry) /** @type {HTMLElement} */ (retry).hidden = !isLast;
  }

  remove() {
    if (this.node.contains(card.chip)) card.close();
    this.node.remove();
  }
}
