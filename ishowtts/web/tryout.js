// Sends a request from the page of the HTTP API and shows what comes back: JSON, text as it arrives, or audio to
// listen to.

import { apiKey } from "./api.js";
import { el } from "./dom.js";
import { duration, t } from "./i18n.js";
import { parseExact, writeExact } from "./schema.js";

const SHOWN_MAX = 20000; // characters of an answer

function curl(method, url, headers, body) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [
    "curl",
    ...(method === "GET" ? [] : ["-X", method]),
    ...Object.entries(headers).flatMap(([name, value]) => [
      "-H",
      quote(`${name}: ${name === "Authorization" ? "Bearer …" : value}`),
    ]),
  ];
  if (typeof body === "string") parts.push("-d", quote(body));
  else if (body)
    for (const [name, value] of body) parts.push("-F", quote(`${name}=${value.name ? `@${value.name}` : value}`));
  return [...parts, quote(url)].join(" ");
}

/** Writes text as it comes, up to a bound. */
async function showText(response, place) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const code = el("code", {});
  place.append(el("pre", { tabindex: "0" }, code));
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    code.textContent = text.slice(0, SHOWN_MAX);
    if (text.length > SHOWN_MAX) {
      code.textContent += "\n…";
      await reader.cancel();
      return;
    }
  }
  if (!/json/.test(response.headers.get("Content-Type") ?? "")) return;
  try {
    code.textContent = writeExact(parseExact(text), 1).slice(0, SHOWN_MAX);
  } catch {
    // What is no JSON stays as it came.
  }
}

async function show(response, began, place) {
  const type = response.headers.get("Content-Type") ?? "";
  const status = el(
    "p",
    {},
    el("span", { class: `badge ${response.ok ? "good" : "bad"}` }, String(response.status)),
    ` ${type}`,
  );
  place.append(status);
  if (type.startsWith("audio/")) {
    const blob = await response.blob();
    place.append(el("audio", { controls: true, src: URL.createObjectURL(blob), "aria-label": t("Response") }));
  } else if (response.body) await showText(response, place);
  status.append(` · ${duration((performance.now() - began) / 1000)}`);
}

const SAID = ["text", "input", "content"]; // fields whose words are spoken

/** A body with the required fields alone. */
function smallest(schema, schemas) {
  const needed = schemas.properties(schema).filter(([, , required]) => required);
  return Object.fromEntries(
    needed.map(([name, value]) => {
      const s = schemas.resolved(schemas.arms(value)[0]);
      return [
        name,
        s.examples?.[0] ??
          s.default ??
          s.enum?.[0] ??
          s.const ??
          (SAID.includes(name) ? "Good evening, and welcome." : s.type === "string" ? "" : 0),
      ];
    }),
  );
}

/** A form for one operation. @param {import("./schema.js").Schemas} schemas */
export function tryout(path, method, what, schemas) {
  const field = (name, required, input) =>
    el("label", { class: "field" }, el("span", {}, el("code", {}, name), required ? ` ${t("required")}` : ""), input);
  const given = (what.parameters ?? [])
    .map((one) => schemas.resolved(one))
    .filter(({ in: place }) => place !== "header");
  const places = new Map(
    given.map((one) => [one, el("input", { autocomplete: "off", required: Boolean(one.required) })]),
  );
  const content = schemas.resolved(what.requestBody).content ?? {};
  const json = content["application/json"];
  const multipart = content["multipart/form-data"];
  const example =
    json && (json.example ?? Object.values(json.examples ?? {})[0]?.value ?? smallest(json.schema, schemas));
  const text =
    json &&
    el("textarea", {
      rows: Math.min(12, writeExact(example, 1).split("\n").length),
      spellcheck: "false",
      "aria-label": t("Body"),
    });
  if (text) text.value = writeExact(example, 1);
  const parts = new Map(
    (multipart ? schemas.properties(multipart.schema) : []).map(([name, schema, required]) => {
      const file = schemas
        .arms(schema)
        .some((arm) => ["binary"].includes(schemas.resolved(arm).format) || schemas.resolved(arm).contentMediaType);
      return [name, el("input", { type: file ? "file" : "text", autocomplete: "off", required })];
    }),
  );
  const kinds = [
    ...new Set(
      Object.entries(what.responses ?? {})
        .filter(([status]) => status.startsWith("2"))
        .flatMap(([, answer]) => Object.keys(schemas.resolved(answer).content ?? {})),
    ),
  ];
  const accept = kinds.length > 1 && el("select", {}, ...kinds.map((kind) => new Option(kind, kind)));
  const send = el("button", { type: "submit", class: "primary" }, t("Send"));
  const stop = el("button", { type: "button", hidden: true }, t("Stop"));
  const result = el("div", { class: "stack result", "aria-live": "polite" });
  const form = el(
    "form",
    { class: "stack tryout" },
    ...[...places].map(([one, input]) => field(one.name, one.required, input)),
    text && field("JSON", false, text),
    ...[...parts].map(([name, input]) => field(name, input.required, input)),
    accept && field("Accept", false, accept),
    el("div", { class: "row" }, send, stop),
    result,
  );
  let running = null;
  stop.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    running?.abort();
    const mine = (running = new AbortController());
    const url = new URL(path, location.href);
    for (const [one, input] of places) {
      if (one.in === "path")
        url.pathname = decodeURIComponent(url.pathname).replace(`{${one.name}}`, encodeURIComponent(input.value));
      else if (input.value) url.searchParams.set(one.name, input.value);
    }
    const headers = {};
    if (accept) headers.Accept = accept.value;
    if (apiKey()) headers.Authorization = `Bearer ${apiKey()}`;
    let body;
    if (text?.value.trim()) {
      headers["Content-Type"] = "application/json";
      body = text.value;
    } else if (parts.size) {
      body = new FormData();
      for (const [name, input] of parts)
        if (input.files?.[0] ?? input.value) body.set(name, input.files?.[0] ?? input.value);
    }
    const began = performance.now();
    stop.hidden = false;
    result.replaceChildren(
      el("pre", { tabindex: "0" }, el("code", {}, curl(method.toUpperCase(), url.href, headers, body))),
    );
    try {
      await show(
        await fetch(url, { method: method.toUpperCase(), headers, body, signal: mine.signal, cache: "no-store" }),
        began,
        result,
      );
    } catch (error) {
      if (error.name !== "AbortError")
        result.append(el("p", { class: "fault" }, t("Cannot reach the server. Is it running?")));
    } finally {
      if (running === mine) stop.hidden = true;
    }
  });
  return form;
}
