// Samples that arrive over time, and files made of them.

/** @param {string} text base64 @returns {Uint8Array} */
export function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** @param {Uint8Array} bytes 16-bit little-endian @returns {Float32Array} in [-1, 1) */
export function fromS16(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const samples = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(2 * i, true) / 32768;
  return samples;
}

const SPAN = 256; // samples a stored peak stands for

export class Clip {
  /** @param {number} rate samples a second */
  constructor(rate) {
    this.rate = rate;
    this.pieces = [];
    this.samples = 0;
    this.tops = []; // the loudest of each SPAN samples: a picture costs the same for every length
  }

  /** @param {Float32Array} samples kept */
  add(samples) {
    this.pieces.push(samples);
    for (const value of samples) {
      const at = Math.floor(this.samples++ / SPAN);
      this.tops[at] = Math.max(this.tops[at] ?? 0, Math.abs(value));
    }
  }

  get seconds() {
    return this.samples / this.rate;
  }

  /** Largest absolute value (0 to 1) in each of n equal spans. */
  peaks(n) {
    const peaks = new Float32Array(n);
    const share = this.tops.length / n;
    for (let i = 0; i < n; i++) {
      const from = Math.floor(i * share);
      for (let at = from; at < Math.max(from + 1, (i + 1) * share) && at < this.tops.length; at++)
        peaks[i] = Math.max(peaks[i], this.tops[at]);
    }
    return peaks;
  }

  /** The whole as a WAV file, 16-bit mono; samples that came as 16 bits come out unchanged. */
  wav() {
    const file = new DataView(new ArrayBuffer(44 + this.samples * 2));
    const put = (at, text) => [...text].forEach((c, i) => file.setUint8(at + i, c.charCodeAt(0)));
    put(0, "RIFF");
    file.setUint32(4, 36 + this.samples * 2, true);
    put(8, "WAVEfmt ");
    file.setUint32(16, 16, true);
    file.setUint16(20, 1, true);
    file.setUint16(22, 1, true);
    file.setUint32(24, this.rate, true);
    file.setUint32(28, this.rate * 2, true);
    file.setUint16(32, 2, true);
    file.setUint16(34, 16, true);
    put(36, "data");
    file.setUint32(40, this.samples * 2, true);
    let at = 44;
    for (const piece of this.pieces) {
      for (const value of piece) {
        file.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(value * 32768))), true);
        at += 2;
      }
    }
    return new Blob([file], { type: "audio/wav" });
  }
}

/** Decodes a file of any kind that the browser knows. @param {Blob} blob @param {number} rate of the result @returns
 *  {Promise<Clip>} its first channel */
export async function decode(blob, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  const buffer = await context.decodeAudioData(await blob.arrayBuffer());
  const clip = new Clip(rate);
  clip.add(buffer.getChannelData(0));
  return clip;
}
