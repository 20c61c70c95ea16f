// Live chat as a page hears it: the feed of the server's events, and the speaker that plays its clips. Every page
// that listens plays the same samples at the time that the server's clock gives them; one that comes late joins at
// what is being heard.

import { follow } from "./events.js";
import { figure, language, t } from "./i18n.js";
import { Player } from "./player.js";
import { syllables } from "./syllables.js";
import { fromBase64, fromS16 } from "./wav.js";

/** The server's events as DOM events ("message", "start", "audio", "end", "deleted", "state": `detail` is the data)
 *  and "connection" with {state, error}. */
export class Feed extends EventTarget {
  open() {
    const tell = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail }));
    this.close = follow("/api/danmaku/stream", {
      event: tell,
      state: (state, error) => tell("connection", { state, error }),
    });
    return this;
  }

  on(name, listener) {
    this.addEventListener(name, (event) => listener(event.detail));
    return this;
  }
}

const BEHIND_MAX = 2; // clips that may wait here; more, and the oldest is left out to be with the others again

/** Plays a feed's clips. Events: "begin" and "over" of a clip. `muted` keeps its time by the page's clock instead. */
export class Speaker extends EventTarget {
  /** @param {Feed} feed @param {{muted?: boolean, volume?: number}} options */
  constructor(feed, { muted = false, volume = 1 } = {}) {
    super();
    this.player = new Player();
    this.player.volume = volume;
    this.muted = muted;
    this.current = null; // {about: data of "start", have: seconds, pieces, finished, began, held}
    this.waiting = [];
    this.paused = false;
    this.work = Promise.resolve(); // one thing at a time, as opening the audio output takes a moment
    const then = (handler) => (data) =>
      (this.work = this.work.then(() => handler.call(this, data)).catch((error) => console.error(error)));
    feed
      .on("start", then(this.#start))
      .on("audio", then(this.#audio))
      .on("end", then(this.#end))
      .on("state", then(this.#state));
    this.player.addEventListener(
      "ended",
      then(() => this.#over()),
    );
  }

  /** The page's own output really plays. */
  get sounding() {
    return !this.muted && this.player.context?.state === "running";
  }

  /** Seconds of the clip that is heard. */
  get position() {
    const clip = this.current;
    if (!clip) return 0;
    if (this.sounding) return clip.about.at + this.player.position;
    return clip.held + (this.paused ? 0 : (performance.now() - clip.began) / 1000);
  }

  /** Words of the clip with the times at which they are heard: [[from, to, word], …]. */
  get captions() {
    const { about, duration } = this.current;
    const known = about.captions[about.timed - 1]?.[1] ?? 0; // up to here the times are the speech's own
    const stretch = duration && about.duration > known ? Math.max(0, duration - known) / (about.duration - known) : 1;
    const placed = (time) => (time <= known ? time : known + (time - known) * stretch);
    return about.captions.flatMap(([from, to, word]) => syllables(placed(from), placed(to), word));
  }

  setMuted(muted) {
    this.work = this.work.then(async () => {
      if (muted === this.muted) return;
      const at = this.position;
      this.muted = muted;
      const clip = this.current;
      if (muted) this.player.pause();
      if (!clip) return;
      Object.assign(clip, { held: at, began: performance.now() });
      if (!muted) await this.#play(clip, at);
    });
  }

  /** After a click, which lets the browser play what it held back. */
  unblock() {
    this.setMuted(true);
    this.setMuted(false);
  }

  #of(id) {
    return (
      this.waiting.findLast((clip) => clip.about.id === id) ?? (this.current?.about.id === id ? this.current : null)
    );
  }

  async #start(about) {
    const known = this.#of(about.id);
    if (known && !known.finished && about.at > 0) return; // came back after a loss in the middle of it
    const clip = {
      about,
      have: about.at,
      pieces: [],
      finished: false,
      duration: about.exact ? about.duration : 0,
      began: 0,
      held: about.at,
    };
    if (this.current) {
      this.waiting.push(clip);
      if (this.waiting.length > BEHIND_MAX || !this.sounding) await this.#over();
    } else await this.#begin(clip);
  }

  #audio({ id, t0, sample_rate: rate, duration, audio_base64: data }) {
    const clip = this.#of(id);
    if (!clip || clip.finished) return;
    if (duration) clip.duration = duration;
    let samples = fromS16(fromBase64(data));
    // of what is here already: a hole is silence, so that what follows keeps its time
    const ahead = Math.round((t0 - clip.have) * rate);
    if (-ahead >= samples.length) return;
    if (ahead > 0) {
      const padded = new Float32Array(ahead + samples.length);
      padded.set(samples, ahead);
      samples = padded;
    } else samples = samples.subarray(-ahead);
    clip.have += samples.length / rate;
    clip.pieces.push(samples);
    if (clip === this.current && !this.muted) this.player.push(samples);
  }

  async #end({ id, reason }) {
    const clip = this.#of(id);
    if (!clip) return;
    clip.finished = true;
    if (clip !== this.current) {
      if (reason !== "spoken") this.waiting = this.waiting.filter((other) => other !== clip);
    } else if (reason === "spoken" && this.sounding)
      this.player.finish(); // the rest of it is on its way to the ear
    else {
      this.player.pause();
      await new Promise((done) => setTimeout(done, 30)); // the player fades out
      await this.#over();
    }
  }

  #state({ paused }) {
    if (paused === undefined || paused === this.paused) return;
    const clip = this.current;
    if (clip) Object.assign(clip, { held: this.position, began: performance.now() });
    this.paused = paused;
    if (!clip || this.muted) return;
    if (paused) this.player.pause();
    else this.player.play();
  }

  async #begin(clip) {
    this.current = clip;
    clip.began = performance.now();
    if (!this.muted) await this.#play(clip, clip.about.at);
    this.dispatchEvent(new CustomEvent("begin", { detail: clip.about }));
  }

  async #play(clip, at) {
    await this.player.open(clip.about.sample_rate);
    for (const piece of clip.pieces) this.player.push(piece);
    if (clip.finished) this.player.finish();
    if (at > clip.about.at) this.player.seek(at - clip.about.at);
    if (!this.paused) this.player.play();
  }

  async #over() {
    const clip = this.current;
    if (!clip) return;
    this.current = null;
    this.dispatchEvent(new CustomEvent("over", { detail: clip.about }));
    if (this.waiting.length) await this.#begin(this.waiting.shift());
  }
}

/** What a message paid, as words in the page's language: "5 euros", "100 bits", "" for nothing. */
export function amountOf({ amount }) {
  if (!amount) return "";
  const { value, currency } = amount;
  if (currency === "CNY" && language() === "zh") return `${figure(value, Number.isInteger(value) ? 0 : 2)}元`;
  if (currency === "bits") return t("{n} bits", { n: figure(value) });
  try {
    const style = { style: "currency", currency, currencyDisplay: "name", trailingZeroDisplay: "stripIfInteger" };
    return new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en-GB", style).format(value);
  } catch {
    return `${value} ${currency}`; // no currency that the browser knows
  }
}
