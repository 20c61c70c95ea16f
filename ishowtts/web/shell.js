// What every page has around its content: header with links, the server's state, the language switch, the key,
// messages.

import { adoptKey, askJson, explain, apiKey, setKey } from "./api.js";
import { $, el } from "./dom.js";
import { language, onLanguage, setLanguage, t, translate } from "./i18n.js";

const PAGES = [
  ["/", "Speak"],
  ["/voices", "Voices"],
  ["/chat", "Chat"],
  ["/dashboard", "Dashboard"],
];
const EVERY = 2000; // milliseconds between two looks at the server
const ANSWER_SECONDS = 2; // together less than the five seconds within which a dead server is seen
const watchers = new Set();
let health = null;
let failure = null;
let timer = 0;

function showState() {
  const text = $("server");
  text.dataset.state = failure ? "lost" : (health?.status ?? "loading");
  if (failure) text.textContent = explain(failure);
  else if (!health) text.textContent = t("Connecting…");
  else if (health.status === "degraded")
    text.textContent = t("The disk cannot be written. New voices and chat messages are refused.");
  else if (health.status === "ready")
    text.textContent = [health.model, health.backend, health.precision].filter(Boolean).join(" · ");
  else text.textContent = health.status === "loading" ? t("Loading the model…") : t("The server is shutting down.");
}

async function look() {
  clearTimeout(timer);
  try {
    health = await askJson("/api/health", { seconds: ANSWER_SECONDS });
    failure = null;
  } catch (error) {
    failure = error;
    health = null;
  }
  showState();
  for (const watcher of watchers) watcher(health, failure);
  timer = setTimeout(look, health && health.status !== "ready" ? EVERY / 2 : EVERY);
}

/** Whether speech is served. */
export const isServing = (health) => health?.status === "ready" || health?.status === "degraded";

/** Calls back with /api/health again and again; with null and the error while the server cannot be reached. */
export const watchHealth = (watcher) => watchers.add(watcher);

function header() {
  const here = location.pathname;
  const links = PAGES.map(([path, name]) =>
    el("a", { href: path, "aria-current": path === here && "page", "data-t": true }, name),
  );
  const swap = el("button", {
    type: "button",
    id: "language",
    class: "quiet",
    onclick: () => setLanguage(language() === "zh" ? "en" : "zh"),
  });
  const name = () => {
    swap.textContent = language() === "zh" ? "English" : "中文";
    swap.lang = language() === "zh" ? "en" : "zh-Hans";
  };
  onLanguage(name);
  name();
  return el(
    "header",
    { id: "top" },
    el("a", { class: "skip", href: "#main", "data-t": true }, "Skip to content"),
    el(
      "a",
      { class: "brand", href: "/" },
      el("img", { src: "/web/icon.svg", alt: "", width: 34, height: 34 }),
      "iShowTTS",
    ),
    el("nav", { "aria-label": "Pages", "data-t-attributes": "aria-label" }, ...links),
    swap,
    el("p", { id: "server", role: "status" }),
  );
}

function keyForm() {
  const input = el("input", { id: "key", type: "password", autocomplete: "current-password", required: true });
  const form = el(
    "form",
    { id: "key-form", hidden: true },
    el("label", { for: "key", "data-t": true }, "This server needs an API key."),
    input,
    el("button", { type: "submit", class: "primary", "data-t": true }, "Use this key"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(input.value);
    form.hidden = true;
    dispatchEvent(new CustomEvent("keychanged"));
    look();
  });
  addEventListener("keyneeded", () => {
    if (!form.hidden) return;
    form.hidden = false;
    if (!apiKey()) input.focus();
  });
  return form;
}

/** Builds the page's frame and begins to watch the server. */
export function shell() {
  adoptKey();
  document.body.prepend(header(), keyForm());
  document.body.append(el("div", { id: "toasts" }));
  translate();
  onLanguage(showState);
  showState();
  look();
}

/** The page's reading of the server's state, at once. */
export const refreshHealth = look;
