// The text of a speech, whose words light up while they are heard.

import { el } from "./dom.js";
import { syllables } from "./syllables.js";

/** @typedef {{start: number, end: number, offset: number, length: number}} Word seconds of the speech, characters (code
 *  points) of the text */

export class Reading {
  /** @param {HTMLElement} box hidden as long as no word is known */
  constructor(box) {
    this.box = box;
    this.clear();
  }

  clear() {
    this.words = [];
    this.spans = [];
    this.current = null;
    this.box.hidden = true;
    this.box.replaceChildren();
  }

  /** @param {string} text whose words come by `add`, in order */
  begin(text) {
    this.clear();
    this.characters = [...text];
    this.done = 0;
    this.rest = document.createTextNode(text);
    this.box.replaceChildren(this.rest);
  }

  /** @param {Word} word */
  add(word) {
    const end = word.offset + word.length;
    if (word.offset < this.done || end > this.characters.length) return;
    const slice = (from, to) => this.characters.slice(from, to).join("");
    this.rest.before(slice(this.done, word.offset));
    let offset = word.offset;
    for (const [start, stop, text] of syllables(word.start, word.end, slice(offset, end))) {
      const span = el("span", { class: "word" }, text);
      this.rest.before(span);
      this.words.push({ start, end: stop, offset, length: [...text].length });
      this.spans.push(span);
      offset += [...text].length;
    }
    this.rest.data = slice(end);
    this.done = end;
    this.box.hidden = false;
  }

  /** Lights up the word that is heard at this time; none between two. @param {number} seconds */
  show(seconds) {
    let low = 0;
    let high = this.words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.words[middle].start <= seconds) low = middle + 1;
      else high = middle;
    }
    const word = this.words[low - 1];
    const span = word && seconds < word.end ? this.spans[low - 1] : null;
    if (span === this.current) return;
    this.current?.classList.remove("now");
    this.spans.forEach((one, i) => one.classList.toggle("heard", i < low));
    span?.classList.add("now");
    this.current = span;
    if (span) this.#keepInSight(span);
  }

  #keepInSight(span) {
    const top = span.offsetTop - this.box.offsetTop;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop || top + span.offsetHeight > scrollTop + clientHeight)
      this.box.scrollTop = top - clientHeight / 3;
  }
}
