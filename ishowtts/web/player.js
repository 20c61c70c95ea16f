// Gapless playing of speech while it arrives. The samples are held by an AudioWorklet. Browsers offer none to pages
// that come from another machine without TLS (OBS on a second computer); there the pieces are scheduled one after the
// other on the clock of the audio context.

/** Takes the messages of the worklet, and plays by scheduled buffers. */
class Schedule {
  constructor(context) {
    this.context = context;
    this.node = context.createGain();
    this.port = { onmessage: null, postMessage: (message) => this.take(message) };
    this.clear();
  }

  clear() {
    this.silence();
    this.pieces = [];
    this.total = this.from = this.sent = 0;
    this.ended = this.playing = false;
  }

  silence() {
    clearInterval(this.timer);
    for (const source of this.sources ?? []) source.stop();
    this.sources = [];
  }

  get at() {
    if (!this.playing || this.began === null) return this.from;
    return Math.min(
      this.total,
      this.from + Math.max(0, this.context.currentTime - this.began) * this.context.sampleRate,
    );
  }

  take({ clear, push, end, play, seek }) {
    if (clear) this.clear();
    if (push?.length) {
      this.pieces.push({ start: this.total, samples: push });
      this.total += push.length;
    }
    if (end) this.ended = true;
    const at = seek ?? this.at;
    if (seek !== undefined || play !== undefined) {
      this.silence();
      this.from = Math.max(0, Math.min(at, this.total));
      this.playing = play ?? this.playing;
      this.began = null; // of the clock, once there is something to play
      this.sent = 0;
      if (this.playing) this.timer = setInterval(() => this.report(), 30);
    }
    if (this.playing) this.send();
  }

  send() {
    for (; this.sent < this.pieces.length; this.sent++) {
      const { start, samples } = this.pieces[this.sent];
      const skipped = Math.max(0, Math.round(this.from) - start);
      if (skipped >= samples.length) continue;
      const rate = this.context.sampleRate;
      const due = () => this.began + (start + skipped - this.from) / rate;
      if (this.began === null || due() < this.context.currentTime) {
        // The first piece, or one that arrived too late: the clip continues from now.
        this.from = start + skipped;
        this.began = this.context.currentTime + 0.02;
      }
      const buffer = this.context.createBuffer(1, samples.length, rate);
      buffer.copyToChannel(samples, 0);
      const source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(this.node);
      source.start(due(), skipped / rate);
      this.sources.push(source);
    }
  }

  report() {
    const at = this.at;
    const done = this.ended && at >= this.total;
    this.port.onmessage?.({ data: { at, total: this.total, starved: !this.ended && at >= this.total, done } });
    if (!done) return;
    this.from = this.total;
    this.playing = false;
    this.silence();
  }
}

/** One clip at a time. Events: "change" (playing or not), "time" (position), "ended". */
export class Player extends EventTarget {
  constructor() {
    super();
    this.context = null;
    this.rate = 0;
    this.level = 1;
    this.playing = false;
    this.starved = false;
    this.total = 0;
    this.at = 0;
  }

  /** Begins an empty clip. @param {number} rate samples a second */
  async open(rate) {
    if (this.context && this.rate !== rate) await this.close();
    if (!this.context) {
      this.rate = rate;
      this.context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
      this.gain = new GainNode(this.context, { gain: this.level });
      this.meter = new AnalyserNode(this.context, { fftSize: 2048 }); // what is heard now, for level displays
      this.gain.connect(this.meter).connect(this.context.destination);
      if (this.context.audioWorklet) {
        await this.context.audioWorklet.addModule("/web/player-worklet.js");
        this.source = new AudioWorkletNode(this.context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
        this.source.connect(this.gain);
      } else {
        this.source = new Schedule(this.context);
        this.source.node.connect(this.gain);
      }
      this.source.port.onmessage = ({ data }) => this.#report(data);
    }
    this.clear();
  }

  #post(message, move) {
    this.source?.port.postMessage(message, move);
  }

  #report({ at, starved, done }) {
    this.at = at;
    this.starved = starved;
    if (done) this.playing = false;
    this.dispatchEvent(new Event("time"));
    if (!done) return;
    this.dispatchEvent(new Event("change"));
    this.dispatchEvent(new Event("ended"));
  }

  /** @param {Float32Array} samples copied */
  push(samples) {
    this.total += samples.length;
    const copy = samples.slice();
    this.#post({ push: copy }, [copy.buffer]);
  }

  /** All samples of the clip have been added. */
  finish() {
    this.#post({ end: true });
  }

  /** Forgets the clip. */
  clear() {
    this.total = this.at = 0;
    this.playing = false;
    this.#post({ clear: true });
    this.dispatchEvent(new Event("change"));
  }

  /** Continues; from the beginning when the end was reached. */
  play() {
    if (!this.context) return;
    this.context.resume(); // a browser may require a click first; until then the context stays suspended
    if (this.at >= this.total && this.total) this.seek(0);
    this.playing = true;
    this.#post({ play: true });
    this.dispatchEvent(new Event("change"));
  }

  pause() {
    this.playing = false;
    this.#post({ play: false });
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.at = Math.max(0, Math.min(Math.round(seconds * this.rate), this.total));
    this.#post({ seek: this.at });
    this.dispatchEvent(new Event("time"));
  }

  get position() {
    return this.rate ? this.at / this.rate : 0;
  }

  /** Whether playing was asked for, but the browser waits for a click. */
  get blocked() {
    return this.playing && this.context?.state === "suspended";
  }

  set volume(level) {
    this.level = level;
    if (this.gain) this.gain.gain.setTargetAtTime(level, this.context.currentTime, 0.01);
  }

  async close() {
    const context = this.context;
    this.context = this.source = null;
    this.playing = false;
    await context?.close();
  }
}
