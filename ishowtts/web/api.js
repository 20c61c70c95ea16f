// The server's interface: one way to ask, one shape of error, the API key in one place.

import { t } from "./i18n.js";

export class ApiError extends Error {
  /** @param {string} message @param {{status?: number, code?: string, field?: string, retryAfter?: number}} more
   *  status 0: no answer */
  constructor(message, { status = 0, code = "", field = "", retryAfter = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, field, retryAfter });
  }

  /** This server has no such endpoint, as opposed to no such thing at it. */
  get missing() {
    return this.status === 405 || (this.status === 404 && !this.field && this.code !== "voice_not_found");
  }
}

// The key comes in the address once and is kept for this tab, so that the pages' links and the address bar need not
// carry it.
const address = new URL(location.href);
let key = address.searchParams.get("key") ?? sessionStorage.getItem("key") ?? "";

/** Moves ?key= from the address bar to the tab's storage. An overlay keeps its address whole and does not call this. */
export function adoptKey() {
  if (!address.searchParams.has("key")) return;
  sessionStorage.setItem("key", key);
  address.searchParams.delete("key");
  history.replaceState(null, "", address);
}

export function setKey(value) {
  key = value;
  sessionStorage.setItem("key", value);
}

export const apiKey = () => key;

async function failure(response) {
  const more = { status: response.status, retryAfter: Number(response.headers.get("Retry-After")) || 0 };
  try {
    const { error } = await response.json();
    return new ApiError(error.message, { ...more, code: error.code, field: error.field });
  } catch {
    return new ApiError(
      t("The server returned {status}.", { status: `${response.status} ${response.statusText}`.trim() }),
      more,
    );
  }
}

/** Sends a request; the answer has a good status. Throws ApiError, or AbortError when `signal` is used.
 *  @param {string} path @param {{method?: string, json?: unknown, form?: FormData, headers?: Object, signal?:
 *  AbortSignal, seconds?: number}} options
 *  seconds: how long an answer may take, body included */
export async function ask(path, { method = "GET", json, form, headers = {}, signal, seconds } = {}) {
  const fields = { ...headers };
  if (key) fields.Authorization = `Bearer ${key}`;
  if (json !== undefined) fields["Content-Type"] = "application/json";
  const body = form ?? (json === undefined ? undefined : JSON.stringify(json));
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: fields,
      body,
      signal: seconds ? AbortSignal.timeout(seconds * 1000) : signal,
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (error.name === "TimeoutError") throw new ApiError(t("The server does not respond."));
    throw new ApiError(t("Cannot reach the server. Is it running?"));
  }
  if (response.ok) return response;
  const error = await failure(response);
  if (error.status === 401) dispatchEvent(new CustomEvent("keyneeded"));
  throw error;
}

/** The answer's JSON; null when it has no body. */
export async function askJson(path, options) {
  const response = await ask(path, options);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** An error as a sentence for a person. The server's own sentence names the field, the limit and the value. */
export function explain(error) {
  if (!(error instanceof ApiError)) return t("This page has an error: {why}", { why: error?.message ?? String(error) });
  const kind = error.code && t(`code:${error.code}`);
  return kind && !kind.startsWith("code:") ? `${kind}${error.message}` : error.message;
}
