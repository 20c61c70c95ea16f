// A message that nobody wrote, for the overlay's preview: a speaker without a sound, which begins again and again.

import { language } from "./i18n.js";

const SAID = {
  en: [
    "Ann",
    "Ann paid 5 euros: Great stream tonight, greetings from Berlin!",
    "Great stream tonight, greetings from Berlin!",
  ],
  zh: ["小安", "小安付费5欧元：今晚的直播太精彩了，来自北京的问候！", "今晚的直播太精彩了，来自北京的问候！"],
};
const WORD_SECONDS = { en: 0.32, zh: 0.16 };
const PAUSE_SECONDS = 1;

/** Looks like live.js's Speaker to captions and overlay. */
export class Sample extends EventTarget {
  current = null;

  play() {
    const [user, said, text] = SAID[language()];
    const pace = WORD_SECONDS[language()];
    const words = language() === "zh" ? [...said] : said.split(" ");
    this.captions = words.map((word, i) => [i * pace, (i + 1) * pace, word]);
    this.began = performance.now();
    this.current = { about: { user, said, text, priority: "Paid", amount: { value: 5, currency: "EUR" }, merged: [] } };
    this.dispatchEvent(new CustomEvent("begin", { detail: this.current.about }));
    setTimeout(() => this.play(), (words.length * pace + PAUSE_SECONDS) * 1000);
  }

  /** Seconds, over and over. */
  get position() {
    return (performance.now() - this.began) / 1000;
  }
}
