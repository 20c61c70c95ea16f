// The words of a clip, a few lines at a time; each is highlighted when it is heard.

import { el } from "./dom.js";

/** Where the message itself begins in the spoken sentence: behind "Ann says:". 0 for gifts and events, of which the
 *  whole sentence is shown. */
const messageStart = ({ said, text, priority }) =>
  priority === "Gift" || !text ? 0 : Math.max(0, said.lastIndexOf(text));

/** Whether the words that are shown beside a name contain that name too. */
export const saysName = (about) =>
  messageStart(about) === 0 && about.said.toLowerCase().includes(about.user.toLowerCase());

export class Captions {
  /** @param {HTMLElement} box holds the lines @param {import("./live.js").Speaker} speaker
   *  @param {{named?: boolean}} options named: the name is shown elsewhere, so the words begin with the message */
  constructor(box, speaker, { named = false } = {}) {
    this.box = box;
    this.speaker = speaker;
    this.named = named;
    this.words = [];
    speaker.addEventListener("begin", () => this.#show());
    speaker.addEventListener("over", () => cancelAnimationFrame(this.frame));
  }

  #show() {
    this.words = this.speaker.captions.map(([, , word]) => el("span", { class: "word" }, word));
    // Words that were joined without a space stay so: in Chinese every character is a word of its own.
    const { about } = this.speaker.current;
    const begin = this.named ? messageStart(about) : 0;
    let at = 0;
    const parts = this.words.flatMap((word) => {
      const place = about.said.indexOf(word.textContent, at);
      const gap = place > at ? about.said.slice(Math.max(at, begin), place) : "";
      if (place >= 0) at = place + word.textContent.length;
      if (at <= begin) return [];
      return gap ? [gap, word] : [word];
    });
    this.roll = el("div", { class: "roll" }, ...parts);
    this.box.replaceChildren(this.roll);
    this.#follow();
  }

  #follow() {
    if (!this.speaker.current) return;
    const now = this.speaker.position;
    let last = null;
    this.speaker.captions.forEach(([from, to], i) => {
      this.words[i].classList.toggle("heard", from <= now);
      this.words[i].classList.toggle("now", from <= now && now < to);
      if (from <= now) last = this.words[i];
    });
    if (last) {
      // The line that is heard stays visible, and so does the one before it if both fit.
      const line = parseFloat(getComputedStyle(this.roll).lineHeight);
      const row = Math.floor((last.offsetTop + last.offsetHeight / 2) / line);
      const shift = Math.max(0, row + 1 - Math.max(1, Math.round(this.box.clientHeight / line))) * line;
      this.roll.style.transform = `translateY(${-shift}px)`;
    }
    this.frame = requestAnimationFrame(() => this.#follow());
  }

  clear() {
    cancelAnimationFrame(this.frame);
    this.box.replaceChildren();
  }
}
