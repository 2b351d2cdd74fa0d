// What is asked: the collection, what writes the answer, and how much counts as evidence.

import { json } from "./client.js";
import { stored } from "./conversation.js";
import { make, part } from "./dom.js";

const PREFIX = "ragwright/";
const PLACE = "ragwright.choices";
// Shares of the best sentence's score that a sentence must reach; null leaves it to the server's settings.
const EVIDENCE = { Precise: 0.9, Balanced: null, Generous: 0.55 };

class Choices {
  constructor() {
    /** @type {Map<string, string[]>} */
    this.generators = new Map(); // names of each collection's generators, the configured one first
    this.chosen = stored(localStorage, PLACE) || {};
    this.changed = () => {};
  }

  /** Ask the server what there is. */
  async load() {
    this.generators = new Map();
    const { data } = await json("/v1/models");
    for (const { id } of data) {
      const [collection, generator] = id.replace(PREFIX, "").split(":");
      const known = this.generators.get(collection) || [];
      this.generators.set(collection, generator ? [...known, generator] : known);
    }
    this.#show();
  }

  get #known() {
    return this.generators.get(this.collection) || [];
  }

  get collection() {
    const { collection } = this.chosen;
    return this.generators.has(collection) ? collection : Array.from(this.generators.keys())[0] || "";
  }

  get generator() {
    const { generator } = this.chosen;
    return this.#known.includes(generator) ? generator : this.#known[0];
  }

  get model() {
    return PREFIX + this.collection + (this.generator ? `:${this.generator}` : "");
  }

  get evidence() {
    return EVIDENCE[this.chosen.evidence] ?? null;
  }

  #show() {
    const collections = Array.from(this.generators.keys());
    const evidence = this.chosen.evidence || "Balanced";
    const collection = this.#select("collection", "Collection", collections, this.collection);
    part("collection").replaceChildren(collection, collections.length > 1 ? "" : this.collection);
    part("choices").replaceChildren(
      this.#select("generator", "Who writes the answer", this.#known, this.generator),
      this.#select("evidence", "How much counts as evidence", Object.keys(EVIDENCE), evidence),
    );
  }

  /** Something to choose, hidden where there is nothing to choose between. */
  #select(name, label, values, value) {
    const options = values.map((each) => make("option", { value: each }, each));
    const select = make("select", { id: `choice-${name}`, title: label }, options);
    select.value = value;
    select.addEventListener("change", () => {
      this.chosen[name] = select.value;
      localStorage.setItem(PLACE, JSON.stringify(this.chosen));
      if (name !== "collection") return;
      this.#show();
      part(select.id).focus();
      this.changed();
    });
    return make("label", { hidden: options.length < 2 }, make("span.unseen", null, label), select);
  }
}

export const choices = new Choices();
