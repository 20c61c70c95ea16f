// Prometheus text, and what a person wants to know of two readings of it.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export class Metrics {
  /** @param {string} text @param {number} when milliseconds */
  constructor(text, when) {
    this.when = when;
    this.series = new Map(); // name → [{labels, value}]
    for (const line of text.split("\n")) {
      const found = !line.startsWith("#") && LINE.exec(line);
      if (!found) continue;
      const labels = Object.fromEntries(
        [...(found[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [
          name,
          value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c)),
        ]),
      );
      const value = found[3] === "+Inf" ? Infinity : Number(found[3]);
      const list = this.series.get(found[1]) ?? [];
      this.series.set(found[1], [...list, { labels, value }]);
    }
  }

  /** All lines of one name, without the project's prefix. */
  all(name) {
    return this.series.get(`ishowtts_${name}`) ?? [];
  }

  /** The value of one line, undefined when there is none. */
  one(name, labels = {}) {
    return this.all(name).find((line) => Object.entries(labels).every(([key, value]) => line.labels[key] === value))
      ?.value;
  }

  sum(name, wanted = () => true) {
    return this.all(name)
      .filter((line) => wanted(line.labels))
      .reduce((total, line) => total + line.value, 0);
  }

  /** How much a counter grew since an earlier reading; a restarted server counts from nothing. */
  since(earlier, name, labels) {
    const now = this.one(name, labels) ?? 0;
    const before = earlier?.one(name, labels) ?? 0;
    return now >= before ? now - before : now;
  }

  /** A quantile of what a histogram took since an earlier reading, by straight lines between its bounds. @param
   *  {number} q 0 to 1 */
  quantile(earlier, name, q) {
    const buckets = this.all(`${name}_bucket`).map(({ labels }) => ({
      bound: labels.le === "+Inf" ? Infinity : Number(labels.le),
      n: this.since(earlier, `${name}_bucket`, labels),
    }));
    const total = buckets.at(-1)?.n;
    if (!total) return undefined;
    const rank = q * total;
    const at = buckets.findIndex((bucket) => bucket.n >= rank);
    const below = at > 0 ? buckets[at - 1] : { bound: 0, n: 0 };
    if (buckets[at].bound === Infinity) return below.bound;
    return below.bound + (buckets[at].bound - below.bound) * ((rank - below.n) / Math.max(1, buckets[at].n - below.n));
  }
}
