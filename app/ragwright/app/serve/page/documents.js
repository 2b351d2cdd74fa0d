// The documents that this caller sees; adding and deleting them, where this caller may.

import { choices } from "./choices.js";
import { call, json, Refusal } from "./client.js";
import { AUTO, announce, button, counted, make, part } from "./dom.js";
import { panel } from "./panel.js";
import { showSource } from "./source.js";

const SHELF = 6; // titles under the welcome
const ASKS_FOR = 300; // milliseconds that a question stays once it is left
const LOOKS_EVERY = 700; // milliseconds between two looks at a file that is being read

class Documents {
  constructor() {
    this.listed = { data: [], may_upload: false, has_more: false, next: "" };
    this.uploads = make("ul.rows");
    this.refill = () => {}; // shows the list anew, while it is shown
  }

  /**
   * Put listeners in place, once.
   *
   * @param {(name: string) => void} ask Puts a person before the question's field.
   */
  start(ask) {
    this.ask = ask;
    part("show-documents").addEventListener("click", () => this.show());
    this.#mindDrops();
  }

  #path(more, query) {
    return `/v1/documents${more}?${new URLSearchParams({ collection: choices.collection, ...query })}`;
  }

  /** Ask the server what there is in the chosen collection. */
  async load() {
    this.listed = await json(this.#path("", {}));
    part("show-documents").hidden = false;
    part("welcome-documents").replaceChildren(...this.#welcome());
    this.refill();
  }

  #welcome() {
    const { data, may_upload: mayUpload } = this.listed;
    const shelf = data.slice(0, SHELF).map((each) => make("li", null, this.#opener(each)));
    if (shelf.length) return [make("p.muted", null, "Some of them"), make("ul.shelf", null, shelf)];
    const empty = mayUpload ? "There is no document yet: add some under Documents." : "There is none that you may see.";
    return [make("p.muted", null, empty)];
  }

  #opener({ id, title }) {
    return button(title, () => showSource({ documentId: id, collection: choices.collection }), AUTO);
  }

  /** Show the list beside the conversation. */
  show() {
    const list = make("ul.rows");
    const more = button("Show more", () => this.#more(), { class: "more" });
    this.refill = () => {
      list.replaceChildren(...this.listed.data.map((each) => this.#row(each)));
      more.hidden = !this.listed.has_more;
    };
    this.refill();
    const body = make("div.documents", null, this.listed.may_upload && this.#drop(), this.uploads, list, more);
    panel.show({ title: "Documents", below: choices.collection, body, closed: () => (this.refill = () => {}) });
  }

  async #more() {
    const next = await json(this.#path("", { after: this.listed.next }));
    this.listed = { ...next, data: [...this.listed.data, ...next.data] };
    this.refill();
  }

  #row(each) {
    const facts = make("small.muted", null, `${each.name || each.source} · ${counted(each.characters, "character")}`);
    const row = make("li", null, make("div.named", AUTO, this.#opener(each), facts));
    if (this.listed.may_upload) row.append(this.#deleting(each, row));
    return row;
  }

  /** Deleting asks once more, in the same place. */
  #deleting(each, row) {
    const label = `Delete ${each.title}`;
    const rest = () => setTimeout(() => sure.replaceWith(first), ASKS_FOR); // Safari blurs before it clicks
    const ask = () => {
      first.replaceWith(sure);
      sure.focus();
    };
    const first = button("", ask, { drawing: "delete", label });
    const sure = button("Delete", () => this.#delete(each, row), { label: `${label} for good`, class: "danger", onblur: rest });
    return first;
  }

  async #delete(each, row) {
    try {
      await call(this.#path(`/${encodeURIComponent(each.id)}`, {}), { method: "DELETE" });
      await this.load();
      announce(`${each.title} is deleted.`);
      part("panel-title").focus();
    } catch (error) {
      row.append(make("p.state", { role: "alert" }, error.message));
    }
  }

  // ---- adding

  #drop() {
    const input = make("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to add" });
    input.addEventListener("change", () => {
      this.#take(input.files);
      input.value = "";
    });
    const choose = button("Choose files", () => input.click(), { class: "primary" });
    return make("div.drop", null, input, choose, make("p.muted", null, "or drop them anywhere on this page"));
  }

  #mindDrops() {
    const mark = (isOver) => document.body.classList.toggle("dropping", isOver);
    const listen = (type, act) =>
      document.addEventListener(type, (event) => {
        if (!this.listed.may_upload || !event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        act(event);
      });
    listen("dragover", () => mark(true));
    listen("dragleave", (event) => event.relatedTarget === null && mark(false));
    listen("drop", (event) => {
      mark(false);
      this.show();
      this.#take(event.dataTransfer.files);
    });
  }

  #take(files) {
    for (const file of Array.from(files)) this.#add(file);
  }

  /** Send a file, and watch it until it can be asked about. */
  async #add(file) {
    const state = make("span.state", { role: "status" }, "Sending");
    const progress = make("progress", { max: 1, value: 0, "aria-label": `Adding ${file.name}` });
    const row = make("li", null, make("span.named", AUTO, file.name), state, progress);
    this.uploads.append(row);
    const form = new FormData();
    form.append("file", file);
    try {
      const job = await json(this.#path("", {}), { form, told: (share) => (progress.value = share) });
      progress.removeAttribute("value"); // how long the rest takes is not known
      await this.#watch(job, state);
      await this.load();
      state.replaceChildren("Ready ", button("Ask about it", () => this.ask(file.name)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      row.classList.add("failed");
      state.textContent = error.message;
    } finally {
      progress.remove();
    }
  }

  async #watch(job, state) {
    while (job.state === "queued" || job.state === "running") {
      state.textContent = job.stage;
      await new Promise((resolve) => setTimeout(resolve, LOOKS_EVERY));
      job = await json(`/v1/documents/jobs/${encodeURIComponent(job.id)}`);
    }
    if (job.state === "failed") throw new Refusal(job.documents.failed[0]?.reason || "It cannot be read.");
  }
}

export const documents = new Documents();
