// PCM pieces that arrive over time, and the WAV file made of what is there so far.

/** @param {string} text base64 @returns {Uint8Array} */
export function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

export class Clip {
  /** @param {number} rate samples a second */
  constructor(rate) {
    this.rate = rate;
    this.pieces = [];
    this.samples = 0;
  }

  /** @param {Uint8Array} bytes 16-bit little-endian samples */
  add(bytes) {
    this.pieces.push(bytes);
    this.samples += bytes.length / 2;
  }

  get seconds() {
    return this.samples / this.rate;
  }

  /** A playable file of all samples so far. */
  blob() {
    const head = new DataView(new ArrayBuffer(44));
    const put = (at, text) => [...text].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
    const size = this.samples * 2;
    put(0, "RIFF");
    head.setUint32(4, 36 + size, true);
    put(8, "WAVEfmt ");
    head.setUint32(16, 16, true);
    head.setUint16(20, 1, true);
    head.setUint16(22, 1, true);
    head.setUint32(24, this.rate, true);
    head.setUint32(28, this.rate * 2, true);
    head.setUint16(32, 2, true);
    head.setUint16(34, 16, true);
    put(36, "data");
    head.setUint32(40, size, true);
    return new Blob([head, ...this.pieces], { type: "audio/wav" });
  }

  /** Largest absolute value (0 to 1) in each of n equal spans. */
  peaks(n) {
    const peaks = new Float32Array(n);
    let at = 0;
    for (const bytes of this.pieces) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let i = 0; i + 1 < bytes.length; i += 2, at++) {
        const bar = Math.floor((at * n) / this.samples);
        const value = Math.abs(view.getInt16(i, true)) / 32768;
        if (value > peaks[bar]) peaks[bar] = value;
      }
    }
    return peaks;
  }
}
