// A small line of a figure over time.

export class Spark {
  /** @param {HTMLCanvasElement} canvas @param {number} kept readings */
  constructor(canvas, kept) {
    this.canvas = canvas;
    this.kept = kept;
    this.values = []; // undefined: nothing was measured
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > this.kept) this.values.shift();
    this.draw();
  }

  draw() {
    const { canvas, values } = this;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const paint = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    paint.clearRect(0, 0, width, height);
    const top = Math.max(...values.filter((value) => value !== undefined), 0) * 1.15;
    const place = (value, i) => [
      ((i + this.kept - values.length + 0.5) / this.kept) * width,
      height - ratio - (top ? value / top : 0) * (height - 6 * ratio),
    ];
    paint.strokeStyle = style.getPropertyValue("--line");
    paint.lineWidth = ratio;
    paint.beginPath();
    paint.moveTo(0, height - ratio / 2);
    paint.lineTo(width, height - ratio / 2);
    paint.stroke();
    const known = values.map((value, i) => (value === undefined ? null : place(value, i))).filter(Boolean);
    paint.strokeStyle = paint.fillStyle = style.getPropertyValue("--wave");
    paint.lineWidth = 2 * ratio;
    paint.lineJoin = "round";
    paint.beginPath();
    known.forEach(([x, y], i) => (i ? paint.lineTo(x, y) : paint.moveTo(x, y)));
    paint.stroke();
    for (const [x, y] of known) {
      paint.beginPath();
      paint.arc(x, y, 2.5 * ratio, 0, 2 * Math.PI);
      paint.fill();
    }
  }
}
