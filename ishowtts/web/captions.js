// Words of a clip that light up as they are heard, a few lines at a time.

import { el } from "./dom.js";

export class Captions {
  /** @param {HTMLElement} box holds the lines @param {import("./live.js").Speaker} speaker */
  constructor(box, speaker) {
    this.box = box;
    this.speaker = speaker;
    this.words = [];
    speaker.addEventListener("begin", () => this.#show());
    speaker.addEventListener("over", () => cancelAnimationFrame(this.frame));
  }

  #show() {
    this.words = this.speaker.captions.map(([, , word]) => el("span", { class: "word" }, word));
    // Words that were joined without a space stay so: in Chinese every character is a word of its own.
    const said = this.speaker.current.about.said;
    let at = 0;
    const parts = this.words.flatMap((word) => {
      const place = said.indexOf(word.textContent, at);
      const gap = place > at ? said.slice(at, place) : "";
      if (place >= 0) at = place + word.textContent.length;
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
      // The line that is heard stays in sight, with the one before it where there is room.
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
