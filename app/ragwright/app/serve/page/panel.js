// The place beside the conversation, or the drawer from below where there is no room beside it.

import { Refusal } from "./client.js";
import { button, make, part } from "./dom.js";

const WIDE = matchMedia("(min-width: 62rem)");

/** What is shown beside the conversation: one thing at a time. Closed, it gives the focus back. */
class Panel {
  constructor() {
    this.node = part("panel");
    this.closed = () => {};
    this.node.addEventListener("close", () => this.#close());
    this.node.addEventListener("click", ({ target }) => target === this.node && !this.isBeside && this.close());
    WIDE.addEventListener("change", () => this.isOpen && this.#open());
  }

  get isOpen() {
    return this.node.open;
  }

  get isBeside() {
    return WIDE.matches;
  }

  /**
   * Show something; `closed` is called once that is closed, or something else is shown.
   *
   * @param {{title: string, below: unknown, body: Node, closed?: () => void}} content
   */
  show({ title, below, body, closed = () => {} }) {
    this.closed();
    this.closed = closed;
    const heading = make("h2", { id: "panel-title", tabindex: -1, dir: "auto" }, title);
    const close = button("", () => this.close(), { drawing: "close", label: "Close", class: "quiet close" });
    const head = make("div.panel-head", null, make("div.panel-line", null, heading, close), make("div.panel-below", null, below));
    const region = { tabindex: 0, role: "region", "aria-labelledby": "panel-title" };
    if (!this.isOpen) this.#open();
    this.node.replaceChildren(head, make("div.panel-body", region, body));
    heading.focus({ preventScroll: true });
  }

  /** Do what ends in `show`; what the server refuses is shown instead. */
  async attempt(task) {
    try {
      await task();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.show({ title: "This cannot be shown", below: `Request ${error.requestId}`, body: make("p", null, error.message) });
    }
  }

  /** Beside the conversation it leaves the rest of the page in use; as a drawer it does not. */
  #open() {
    this.node.close();
    if (this.isBeside) this.node.show();
    else this.node.showModal();
    document.documentElement.classList.toggle("beside", this.isBeside);
  }

  close() {
    this.node.close();
  }

  #close() {
    if (this.isOpen) return; // it was opened again in its other place
    document.documentElement.classList.remove("beside");
    this.closed();
    this.closed = () => {};
    if (document.activeElement === document.body) part("question").focus();
  }
}

export const panel = new Panel();
