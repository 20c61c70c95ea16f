// A waveform that is also the slider of its player.

import { prepare } from "./canvas.js";
import { duration, t } from "./i18n.js";

export class Waveform {
  /** @param {HTMLCanvasElement} canvas @param {(seconds: number) => void} seek @param {() => void} toggle */
  constructor(canvas, seek, toggle) {
    this.canvas = canvas;
    this.clip = null;
    this.position = 0;
    this.busy = false;
    const set = (seconds) => this.clip && seek(Math.max(0, Math.min(this.clip.seconds, seconds)));
    const attributes = { role: "slider", tabindex: 0, "aria-valuemin": 0 };
    for (const [name, value] of Object.entries(attributes)) canvas.setAttribute(name, value);
    canvas.addEventListener("pointerdown", (event) => {
      const drag = (at) => set((at.offsetX / canvas.clientWidth) * this.clip?.seconds);
      if (!this.clip) return;
      canvas.setPointerCapture(event.pointerId);
      drag(event);
      canvas.onpointermove = drag;
    });
    canvas.addEventListener("lostpointercapture", () => (canvas.onpointermove = null));
    canvas.addEventListener("keydown", (event) => {
      const moves = {
        ArrowLeft: -1,
        ArrowDown: -1,
        ArrowRight: 1,
        ArrowUp: 1,
        PageUp: 5,
        PageDown: -5,
        Home: -Infinity,
        End: Infinity,
      };
      if (event.key in moves) set(this.position + moves[event.key]);
      else if (event.key === " ") toggle();
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.draw();
  }

  /** Draws at the next frame, however often it is called until then. */
  refresh() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  /** Something is being waited for. */
  wait(busy) {
    this.busy = busy;
    this.refresh();
  }

  draw() {
    const { canvas, clip } = this;
    const { paint, ratio, width, height, style } = prepare(canvas);
    const [heard, rest] = [style.getPropertyValue("--wave"), style.getPropertyValue("--wave-rest")];
    const step = 4 * ratio;
    const bars = Math.max(1, Math.floor(width / step));
    const peaks = clip?.samples ? clip.peaks(bars) : null;
    const now = clip?.samples ? this.position / clip.seconds : 0;
    const waiting = this.busy && !peaks;
    paint.clearRect(0, 0, width, height);
    for (let i = 0; i < bars; i++) {
      const idle = waiting && !this.still.matches ? 0.05 + 0.05 * Math.sin(i / 6 - performance.now() / 180) : 0;
      const h = Math.max(2 * ratio, Math.min(1, (peaks?.[i] ?? idle) * 1.4) * height);
      paint.fillStyle = peaks && (i + 0.5) / bars < now ? heard : rest;
      paint.beginPath();
      paint.roundRect(i * step, (height - h) / 2, step - 1.5 * ratio, h, ratio);
      paint.fill();
    }
    canvas.setAttribute("aria-valuemax", clip?.seconds.toFixed(2) ?? 0);
    canvas.setAttribute("aria-valuenow", this.position.toFixed(2));
    canvas.setAttribute(
      "aria-valuetext",
      clip ? t("{at} of {all}", { at: duration(this.position), all: duration(clip.seconds) }) : t("Nothing yet"),
    );
    if (waiting && !this.still.matches) this.refresh();
  }
}
