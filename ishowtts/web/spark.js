// A small line of a figure over time.

import { prepare } from "./canvas.js";

const LEAST = 60;

export class Spark {
  /** @param {HTMLCanvasElement} canvas @param {number} most values that fill its width; fewer fill its right part */
  constructor(canvas, most) {
    this.canvas = canvas;
    this.most = most;
    this.values = [];
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** @param {(number | null)[]} values oldest first, null where nothing was measured */
  show(values) {
    this.values = values;
    this.draw();
  }

  draw() {
    const { canvas, values } = this;
    const { paint, ratio, width, height, style } = prepare(canvas);
    paint.clearRect(0, 0, width, height);
    const top = Math.max(...values.filter((value) => value !== null), 0) * 1.15;
    const across = Math.min(this.most, Math.max(LEAST, values.length)); // a young server's line is not a dot
    const place = (value, i) => [
      ((i + across - values.length + 0.5) / across) * width,
      height - ratio - (top ? value / top : 0) * (height - 6 * ratio),
    ];
    paint.strokeStyle = style.getPropertyValue("--line");
    paint.lineWidth = ratio;
    paint.beginPath();
    paint.moveTo(0, height - ratio / 2);
    paint.lineTo(width, height - ratio / 2);
    paint.stroke();
    paint.strokeStyle = paint.fillStyle = style.getPropertyValue("--wave");
    paint.lineWidth = 1.5 * ratio;
    paint.lineJoin = "round";
    paint.beginPath();
    values.forEach((value, i) => {
      if (value === null) return;
      const [x, y] = place(value, i);
      const alone = (values[i - 1] ?? null) === null;
      if (alone) paint.moveTo(x, y);
      else paint.lineTo(x, y);
      if (alone && (values[i + 1] ?? null) === null) {
        paint.fillRect(x - 1.5 * ratio, y - 1.5 * ratio, 3 * ratio, 3 * ratio);
      }
    });
    paint.stroke();
  }
}
