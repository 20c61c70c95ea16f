// The HTTP contract for reading: every operation of /openapi.json with its fields, examples and answers.

import { askJson, explain } from "./api.js";
import { $, el, tell } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { shell } from "./shell.js";

const METHODS = ["get", "post", "put", "delete"];
let contract = null;

/** Follows a $ref inside the document. */
const resolved = (node) => (node?.$ref ? resolved(node.$ref.slice(2).split("/").reduce((at, key) => at[key], contract)) : (node ?? {}));

/** What a value may be, in a few words. */
function kind(schema) {
  const s = resolved(schema);
  const arms = (s.anyOf ?? s.oneOf ?? []).filter((arm) => resolved(arm).type !== "null");
  if (arms.length) return arms.map(kind).join(" | ");
  if (s.enum) return s.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (s.const !== undefined) return JSON.stringify(s.const);
  if (s.type === "array") return `${kind(s.items)}[]`;
  const low = s.minimum ?? s.exclusiveMinimum ?? s.minLength;
  const high = s.maximum ?? s.exclusiveMaximum ?? s.maxLength;
  return [s.type ?? "object", low !== undefined || high !== undefined ? `${low ?? ""}…${high ?? ""}` : ""].filter(Boolean).join(" ");
}

const table = (rows) =>
  el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, ...rows.map(([name, type, note]) => el("tr", {}, el("th", { scope: "row" }, el("code", {}, name)), el("td", {}, type), el("td", {}, note))))));

const example = (value) => value !== undefined && el("pre", { tabindex: "0" }, el("code", {}, typeof value === "string" ? value : JSON.stringify(value, null, 1)));

/** Fields of an object, with what is known of each. */
function fields(schema) {
  const s = resolved(schema);
  const needed = new Set(s.required ?? []);
  const rows = Object.entries(s.properties ?? {}).map(([name, value]) => [name, kind(value), [needed.has(name) ? t("needed") : "", resolved(value).description ?? value.description ?? ""].filter(Boolean).join(" · ")]);
  return rows.length ? table(rows) : null;
}

function content(parts) {
  return Object.entries(parts ?? {}).flatMap(([type, part]) => [el("p", { class: "soft" }, el("code", {}, type)), fields(part.schema), example(part.example ?? Object.values(part.examples ?? {})[0]?.value)].filter(Boolean));
}

function operation(path, method, what) {
  const title = el("summary", {}, el("strong", {}, method.toUpperCase()), " ", el("code", {}, path));
  const parts = [el("p", {}, what.description ?? what.summary ?? "")];
  const given = (what.parameters ?? []).map(resolved).map((p) => [p.name, kind(p.schema), [p.in, p.required ? t("needed") : "", p.description ?? ""].filter(Boolean).join(" · ")]);
  if (given.length) parts.push(el("h3", {}, t("Parameters")), table(given));
  const body = resolved(what.requestBody);
  if (body.content) parts.push(el("h3", {}, t("Body")), ...content(body.content));
  parts.push(el("h3", {}, t("Answers")));
  for (const [status, answer] of Object.entries(what.responses ?? {})) {
    const { description, content: carried } = resolved(answer);
    parts.push(el("details", {}, el("summary", {}, el("code", {}, status), ` ${description ?? ""}`), ...content(carried)));
  }
  return el("details", { class: "card operation", "data-path": path }, title, ...parts);
}

function filter() {
  const wanted = $("search").value.trim().toLowerCase();
  for (const element of $("operations").children) element.hidden = !element.dataset.path.toLowerCase().includes(wanted);
}

function show() {
  if (!contract) return;
  const all = Object.entries(contract.paths).flatMap(([path, methods]) => METHODS.filter((method) => methods[method]).map((method) => operation(path, method, methods[method])));
  $("operations").replaceChildren(...all);
  filter();
}

async function load() {
  try {
    contract = await askJson("/openapi.json");
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
