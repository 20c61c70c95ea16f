// The HTTP API for reading and trying out: every operation of /openapi.json with its fields, examples and answers.

import { ask, explain } from "./api.js";
import { $, el, tell } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { Schemas, parseExact, writeExact } from "./schema.js";
import { shell } from "./shell.js";
import { tryout } from "./tryout.js";

const METHODS = ["get", "post", "put", "delete"];
const GROUPS = [
  [/^\/api\/(tts|lexicon|reading)/, () => t("Speech")],
  [/^\/v1\//, () => t("OpenAI-compatible")],
  [/^\/api\/voices/, () => t("Voices")],
  [/^\/api\/danmaku/, () => t("Live chat")],
  [/./, () => t("Server")],
];
const SOCKETS = ["/api/tts/ws", "/api/danmaku/ingest/{kind}"]; // whose GET is a WebSocket, which no form can speak

let schemas = null;

/** Text with `code` and [links](address) of Markdown. */
function rich(text) {
  const parts = String(text ?? "").split(/(`[^`]+`|\[[^\]]+\]\([^)\s]+\))/);
  return parts.filter(Boolean).map((part) => {
    const link = /^\[([^\]]+)\]\(([^)\s]+)\)$/.exec(part);
    if (link) return el("a", { href: link[2] }, link[1]);
    return part.length > 2 && part.startsWith("`") && part.endsWith("`") ? el("code", {}, part.slice(1, -1)) : part;
  });
}

const table = (rows) =>
  el(
    "div",
    { class: "scroll" },
    el(
      "table",
      {},
      el(
        "tbody",
        {},
        ...rows.map(([name, type, note]) =>
          el("tr", {}, el("th", { scope: "row" }, el("code", {}, name)), el("td", {}, type), el("td", {}, ...note)),
        ),
      ),
    ),
  );

const example = (value) =>
  value !== undefined &&
  el("pre", { tabindex: "0" }, el("code", {}, typeof value === "string" ? value : writeExact(value, 1)));

/** What is said of a field beside its kind. */
function note(required, schema, description) {
  const s = schemas.resolved(schema);
  const known = [
    required ? t("required") : "",
    s.default !== undefined && s.default !== null ? t("default {value}", { value: writeExact(s.default) }) : "",
    description ?? s.description ?? schema.description ?? "",
  ];
  return rich(known.filter(Boolean).join(" · "));
}

function fields(schema) {
  const rows = schemas
    .properties(schema)
    .map(([name, value, required]) => [name, schemas.kind(value), note(required, value)]);
  return rows.length ? table(rows) : null;
}

const content = (parts) =>
  Object.entries(parts ?? {}).flatMap(([type, part]) =>
    [
      el("p", { class: "soft" }, el("code", {}, type)),
      fields(part.schema),
      example(part.example ?? Object.values(part.examples ?? {})[0]?.value),
    ].filter(Boolean),
  );

/** The inside of an operation, made when it is opened. */
function inside(path, method, what) {
  const parts = [el("p", {}, ...rich(what.description ?? what.summary))];
  const given = (what.parameters ?? [])
    .map((one) => schemas.resolved(one))
    .map((p) => [p.name, schemas.kind(p.schema), note(p.required, p.schema, p.description)]);
  if (given.length) parts.push(el("h3", {}, t("Parameters")), table(given));
  const body = schemas.resolved(what.requestBody);
  if (body.content) parts.push(el("h3", {}, t("Body")), ...content(body.content));
  parts.push(el("h3", {}, t("Responses")));
  for (const [status, answer] of Object.entries(what.responses ?? {})) {
    const { description, content: carried } = schemas.resolved(answer);
    parts.push(
      el("details", {}, el("summary", {}, el("code", {}, status), " ", ...rich(description)), ...content(carried)),
    );
  }
  if (method !== "get" || !SOCKETS.includes(path))
    parts.push(el("h3", {}, t("Try it out")), tryout(path, method, what, schemas));
  return parts;
}

function operation(path, method, what) {
  const title = el("summary", {}, el("strong", {}, method.toUpperCase()), " ", el("code", {}, path));
  const about = el(
    "p",
    { class: "soft brief" },
    ...rich((what.description ?? what.summary ?? "").split(/(?<=\.)\s/)[0]),
  );
  const box = el("details", { class: "card operation", "data-path": path }, title);
  box.addEventListener("toggle", () => {
    about.hidden = box.open;
    if (box.open && box.childElementCount === 1) box.append(...inside(path, method, what));
  });
  title.append(about);
  return box;
}

function filter() {
  const wanted = $("search").value.trim().toLowerCase();
  for (const group of $("operations").children) {
    for (const element of group.querySelectorAll(".operation"))
      element.hidden = !`${element.dataset.path} ${element.querySelector(".brief").textContent}`
        .toLowerCase()
        .includes(wanted);
    group.hidden = !group.querySelector(".operation:not([hidden])");
  }
}

function show() {
  if (!schemas) return;
  const all = Object.entries(schemas.contract.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => [path, method, methods[method]]),
  );
  const groupOf = (path) => GROUPS.findIndex(([pattern]) => pattern.test(path));
  $("operations").replaceChildren(
    ...GROUPS.map(([, name], i) =>
      el(
        "section",
        { class: "group" },
        el("h2", {}, name()),
        ...all.filter(([path]) => groupOf(path) === i).map((one) => operation(...one)),
      ),
    ),
  );
  filter();
}

async function load() {
  try {
    schemas = new Schemas(parseExact(await (await ask("/openapi.json")).text()));
    tell($("lost"), "");
    show();
  } catch (error) {
    tell($("lost"), explain(error));
    setTimeout(load, 2000);
  }
}

shell();
$("search").addEventListener("input", filter);
onLanguage(show);
load();
