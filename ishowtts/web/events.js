// text/event-stream over fetch, which can carry the API key in a header, an AbortSignal and POST; EventSource can do
// none of them.

import { ApiError, ask } from "./api.js";

/** Text in pieces of any size to events, as the HTML standard says. */
export class EventParser {
  constructor() {
    this.rest = [];
    this.lastId = "";
    this.retry = 0; // milliseconds, 0: the server did not say
    this.#clear();
  }

  #clear() {
    this.event = "";
    this.data = [];
  }

  /** @param {string} text @returns {{event: string, data: string, id: string}[]} */
  push(text) {
    this.rest.push(text);
    if (!/[\r\n]/.test(text)) return []; // the middle of a long line: joined once, when its end is here
    const lines = this.rest.join("").split(/\r\n|\n|\r(?!$)/);
    this.rest = [lines.pop()];
    const found = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length)
          found.push({ event: this.event || "message", data: this.data.join("\n"), id: this.lastId });
        this.#clear();
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") this.event = value;
      else if (name === "data") this.data.push(value);
      else if (name === "id" && !value.includes("\0")) this.lastId = value;
      else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    }
    return found;
  }
}

/** The events of an answer while they arrive. @param {Response} response */
export async function* eventsOf(response, parser = new EventParser()) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const WAIT_MIN = 500;
const WAIT_MAX = 15000;

/** Follows a stream of events for as long as the page lives: comes back after a loss where it was (Last-Event-ID),
 *  waiting longer
 *  each time, with jitter so that a restarted server does not meet all its listeners at once.
 *  @param {string} path
 *  @param {{event: (name: string, data: any, id: string) => void, state: (state:
 *  "connecting"|"open"|"waiting"|"failed", error?: ApiError) => void}} on
 *  @returns {() => void} ends it */
export function follow(path, on) {
  const parser = new EventParser();
  let abort = new AbortController();
  let closed = false;
  let wake = () => {};
  const sleep = (ms) =>
    new Promise((done) => {
      const timer = setTimeout(done, ms);
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  const hurry = () => wake();
  // A page that was left may be kept by the browser for "back": it must not hold one of the six connections to a
  // server meanwhile.
  const leave = () => abort.abort();
  addEventListener("pagehide", leave);
  addEventListener("pageshow", hurry);
  addEventListener("online", hurry);
  addEventListener("keychanged", hurry);

  (async () => {
    let wait = WAIT_MIN;
    while (!closed) {
      abort = new AbortController();
      on.state("connecting");
      let error = null;
      try {
        const headers = { Accept: "text/event-stream", ...(parser.lastId && { "Last-Event-ID": parser.lastId }) };
        const response = await ask(path, { headers, signal: abort.signal });
        parser.rest = [];
        on.state("open");
        for await (const { event, data, id } of eventsOf(response, parser)) {
          wait = WAIT_MIN;
          on.event(event, JSON.parse(data), id);
        }
      } catch (caught) {
        if (closed) return;
        error = caught instanceof ApiError ? caught : null; // else the connection was cut in the middle
      }
      if (closed) return;
      // What the server does not have, or a wrong key, will not come by asking twice a second.
      const final = error && (error.missing || error.status === 401);
      on.state(final ? "failed" : "waiting", error ?? undefined);
      const pause = final ? WAIT_MAX : Math.max(wait, parser.retry, (error?.retryAfter ?? 0) * 1000);
      await sleep(pause * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, WAIT_MAX);
    }
  })();

  return () => {
    closed = true;
    removeEventListener("pagehide", leave);
    removeEventListener("pageshow", hurry);
    removeEventListener("online", hurry);
    removeEventListener("keychanged", hurry);
    abort.abort();
    wake();
  };
}
