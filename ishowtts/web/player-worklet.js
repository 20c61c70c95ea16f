// Plays samples that are still arriving, on the audio thread. The context runs at the samples' own rate, so nothing
// is resampled here. In: {push: Float32Array}, {end}, {play: boolean}, {seek: samples}, {clear}. Out, about 30 times
// a second: {at, total, starved, done}.

const REPORT = 6; // blocks of 128 frames
const RAMP = 1 / 192; // of the level a sample: a pause is no click

class PlayerProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.clear();
    this.port.onmessage = ({ data }) => {
      if (data.clear) this.clear();
      if (data.push) {
        this.starts.push(this.total);
        this.pieces.push(data.push);
        this.total += data.push.length;
      }
      if (data.end) this.ended = true;
      if ("play" in data) this.playing = data.play;
      if ("seek" in data) {
        this.at = Math.max(0, Math.min(data.seek, this.total));
        this.piece = 0;
      }
    };
  }

  clear() {
    this.pieces = [];
    this.starts = [];
    this.total = 0;
    this.at = 0;
    this.piece = 0; // the piece that holds `at`, or one before it
    this.ended = false;
    this.playing = false;
    this.level = 0;
    this.blocks = 0;
  }

  process(_, [[left, ...others]]) {
    let starved = false;
    for (let i = 0; i < left.length; i++) {
      this.level = Math.max(0, Math.min(1, this.level + (this.playing ? RAMP : -RAMP)));
      if (!this.level) break;
      if (this.at >= this.total) {
        starved = this.playing && !this.ended;
        break;
      }
      while (this.at >= this.starts[this.piece] + this.pieces[this.piece].length) this.piece++;
      left[i] = this.level * this.pieces[this.piece][this.at - this.starts[this.piece]];
      this.at++;
    }
    for (const channel of others) channel.set(left);
    const done = this.playing && this.ended && this.at >= this.total;
    if (done) this.playing = false;
    if (done || (this.playing && ++this.blocks % REPORT === 0))
      this.port.postMessage({ at: this.at, total: this.total, starved, done });
    return true;
  }
}

registerProcessor("player", PlayerProcessor);
