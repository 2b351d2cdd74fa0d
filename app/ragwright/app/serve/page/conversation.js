// What was asked and answered in this tab; a reload brings it back, closing the tab ends it.

const PLACE = "ragwright.conversation";

/**
 * A quote and where it stands; `start` and `end` count characters as Python does.
 *
 * @typedef {{marker: number, documentId: string, start: number, end: number, quote: string, state: string,
 *   source: string, title: string, headings: string[], page: number?, collection: string}} Citation
 *
 * A question with its answer. A marker in the text is a single character, see markdown.js. Ratings are 1 or -1,
 * by marker; 0 is the answer.
 *
 * @typedef {{question: string, text: string, citations: Citation[], refused: boolean, support: number?,
 *   traceId: string?, state: "asking" | "done" | "stopped" | "cut" | "failed", seconds: number,
 *   error: {message: string, requestId: string?}?, ratings: Object<string, number>}} Turn
 */

export class Conversation {
  constructor() {
    /** @type {Turn[]} */
    this.turns = stored(sessionStorage, PLACE) || [];
  }

  /** Begin a turn. */
  ask(question) {
    const nothing = { text: "", citations: [], refused: false, support: null, traceId: null, error: null };
    /** @type {Turn} */
    const turn = { question, ...nothing, state: "asking", seconds: 0, ratings: {} };
    this.turns.push(turn);
    return turn;
  }

  /** Take the last turn back, to ask it in another way. */
  takeBack() {
    const turn = this.turns.pop();
    this.keep();
    return turn;
  }

  /** The messages that lead to a turn, which is the last. */
  messages(asPlainText) {
    const messages = [];
    for (const turn of this.turns) {
      messages.push({ role: "user", content: turn.question });
      if (turn.state !== "asking" && turn.text) messages.push({ role: "assistant", content: asPlainText(turn) });
    }
    return messages;
  }

  /** Remember it until the tab is closed, without what is still being written. */
  keep() {
    const ended = this.turns.filter((turn) => turn.state !== "asking");
    try {
      sessionStorage.setItem(PLACE, JSON.stringify(ended));
    } catch {
      sessionStorage.removeItem(PLACE); // too long to be kept; it stays on the page
    }
  }
}

/** What is stored at a place, from JSON; null where nothing is, or something else. */
export function stored(storage, place) {
  try {
    return JSON.parse(storage.getItem(place));
  } catch {
    return null;
  }
}
