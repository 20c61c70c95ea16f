// The chat page: what is read now, what waits, what came; controls, connections, and the overlay's address.

import { apiKey, askJson, explain } from "./api.js";
import { Captions } from "./captions.js";
import { $, clearFields, confirmed, el, icon, tell, tellField, toast } from "./dom.js";
import { clock, duration, figure, onLanguage, t } from "./i18n.js";
import { Feed, Speaker, amountOf } from "./live.js";
import { SETTINGS, overlayAddress, readSettings } from "./settings.js";
import { shell } from "./shell.js";

const LOG_MAX = 200;
const QUEUE_SHOWN = 50;
const feed = new Feed();
const speaker = new Speaker(feed, { muted: true, volume: Number(localStorage.getItem("volume") ?? 1) });
const captions = new Captions($("now-words"), speaker);
const entries = new Map(); // id → line of the log
let connection = { state: "connecting" };
let paused = false;
let counts = null;
let queue = { playing: null, waiting: [], total: 0 };
let sources = [];

const NAMES = { Normal: () => t("Normal"), Mention: () => t("Mention"), Moderator: () => t("Moderator"), Paid: () => t("Paid"), Gift: () => t("Gift") };
const KINDS = { Paid: "warn", Gift: "warn", Moderator: "good" };
const badge = ({ priority, amount }) =>
  priority === "Normal" ? null : el("span", { class: `badge ${KINDS[priority] ?? ""}` }, amountOf({ amount }) || (NAMES[priority]?.() ?? priority));

// ---- what is shown ----

function showConnection() {
  const words = { connecting: t("Connecting …"), open: t("Live"), waiting: t("Reconnecting …"), failed: t("Not available") };
  const kind = { open: "good", failed: "bad" }[connection.state] ?? "warn";
  $("link").className = `badge ${kind}`;
  $("link").textContent = words[connection.state];
  const { error } = connection;
  tell($("missing"), connection.state === "failed" ? (error.missing ? t("This server has no live chat.") : explain(error)) : "");
}

function showControls() {
  $("pause").textContent = paused ? t("Resume") : t("Pause");
  $("pause").classList.toggle("primary", !paused);
  $("skip").disabled = !queue.playing && !speaker.current;
  $("clear").disabled = !queue.waiting.length;
}

function showNow(about) {
  $("now-who").textContent = about ? [about.user, amountOf(about), about.channel && `${about.platform} · ${about.channel}`].filter(Boolean).join(" · ") : "";
  if (!about) {
    captions.clear();
    $("now-words").replaceChildren(el("p", { class: "soft" }, t("Nothing is being read.")));
  }
  for (const [id, line] of entries) line.classList.toggle("now", id === about?.id);
  showControls();
}

function showQueue() {
  const shown = queue.waiting.slice(0, QUEUE_SHOWN);
  $("queue").replaceChildren(...shown.map((item) =>
    el("li", {},
      el("div", { class: "grow" }, el("p", { class: "clamp" }, el("span", { class: "who" }, item.user), ` ${item.text}`),
        el("p", { class: "soft" }, [t("waits {time}", { time: duration(item.waited) }), item.ready && t("ready")].filter(Boolean).join(" · "))),
      badge(item),
      el("button", { type: "button", class: "quiet", title: t("Skip"), "aria-label": t("Skip: {text}", { text: item.text.slice(0, 60) }), onclick: () => act("skip", { id: item.id }) }, icon("skip")))));
  $("queue-empty").hidden = shown.length > 0;
  $("waiting").textContent = queue.total ? t("Waiting: {n}", { n: queue.total }) : "";
  showControls();
}

function showCounts() {
  if (!counts) return;
  const names = { received: t("Received"), spoken: t("Read"), skipped: t("Skipped"), deleted: t("Deleted"), waiting: t("Waiting") };
  const dropped = Object.values(counts.dropped).reduce((sum, n) => sum + n, 0);
  const rows = [...Object.entries(names).map(([key, name]) => [name, counts[key]]), [t("Not read"), dropped]];
  $("counts").replaceChildren(...rows.map(([name, n]) => el("div", {}, el("dt", {}, name), el("dd", {}, figure(n)))));
  $("counts").title = Object.entries(counts.dropped).map(([reason, n]) => `${reason} ${n}`).join(", ");
}

const STATES = { connecting: ["warn", () => t("connecting")], live: ["good", () => t("live")], waiting: ["warn", () => t("waiting")], ended: ["", () => t("ended")], failed: ["bad", () => t("failed")] };

function showSources() {
  $("sources").replaceChildren(...sources.map((source) => {
    const [kind, name] = STATES[source.state] ?? ["", () => source.state];
    return el("li", {},
      el("div", { class: "grow" }, el("p", {}, `${source.platform} · ${source.channel} `, el("span", { class: `badge ${kind}` }, name())), source.text && el("p", { class: "soft" }, source.text)),
      el("button", { type: "button", class: "quiet", "aria-label": t("Stop {name}", { name: `${source.platform} ${source.channel}` }), onclick: () => disconnect(source) }, t("Stop")));
  }));
  $("sources-empty").hidden = sources.length > 0;
}

function addMessage(message) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const line = el("li", {}, el("time", {}, clock(message.timestamp || Date.now())),
    el("span", { class: "words" }, el("span", { class: "who" }, message.user), ` ${message.text}`), badge(message));
  entries.set(message.id, line);
  log.append(line);
  while (log.childElementCount > LOG_MAX) {
    const [id, oldest] = entries.entries().next().value;
    entries.delete(id);
    oldest.remove();
  }
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// ---- asking ----

const act = async (verb, json = {}) => {
  try {
    return await askJson(`/api/danmaku/${verb}`, { method: "POST", json });
  } catch (error) {
    toast(error.missing ? t("This server has no live chat.") : explain(error), "bad");
    return undefined;
  }
};

let asking = 0;
/** Reads queue and connections again, once for all events that come together. */
function refresh() {
  clearTimeout(asking);
  asking = setTimeout(async () => {
    try {
      const [line, status] = await Promise.all([askJson("/api/danmaku/queue"), askJson("/api/danmaku/status")]);
      queue = line;
      sources = status.connections ?? [];
      takeState(status);
      showQueue();
      showSources();
    } catch {
      // The feed says what is wrong with the server, and comes back by itself.
    }
  }, 150);
}

function takeState(state) {
  if (state.paused !== undefined) paused = state.paused;
  if (state.counts) counts = state.counts;
  showControls();
  showCounts();
}

async function disconnect({ platform, channel }) {
  await act("stop", { platform, channel });
  refresh();
}

/** Sends a form; a refusal stands at its field or below the form. */
async function submit(form, fault, path, json) {
  clearFields(form);
  tell(fault, "");
  try {
    return await askJson(path, { method: "POST", json });
  } catch (error) {
    const message = error.missing ? t("This server has no live chat.") : explain(error);
    if (!tellField(form, error.field, message)) tell(fault, message);
    return undefined;
  }
}

// ---- the overlay's address ----

function fillOverlay() {
  for (const [name, rule] of Object.entries(SETTINGS)) {
    for (const input of $("obs").querySelectorAll(`[name="${name}"]`)) {
      if (input.type === "checkbox") input.checked = rule.value.split(",").includes(input.value);
      else input.value = rule.value;
      if (rule.min !== undefined) Object.assign(input, { min: rule.min, max: rule.max });
    }
  }
}

function showOverlay() {
  const form = new FormData($("obs"));
  const chosen = Object.fromEntries(form);
  chosen.show = form.getAll("show").join(",") || "words";
  const address = overlayAddress(chosen, apiKey());
  const { faults } = readSettings(new URL(address).searchParams);
  tell($("obs-fault"), faults.join(" "));
  $("address").value = address;
  $("preview").href = address;
  $("obs-key").hidden = !apiKey();
}

// ---- wiring ----

feed.on("connection", (news) => {
  connection = news;
  showConnection();
  if (news.state === "open") refresh();
});
feed.on("message", (message) => {
  addMessage(message);
  refresh();
});
feed.on("deleted", ({ ids }) => {
  for (const id of ids) entries.get(id)?.classList.add("gone");
  refresh();
});
feed.on("state", (state) => {
  takeState(state);
  refresh();
});
feed.on("start", refresh);
feed.on("end", refresh);
speaker.addEventListener("begin", ({ detail }) => showNow(detail));
speaker.addEventListener("over", () => showNow(null));

$("pause").addEventListener("click", async () => {
  const done = await act(paused ? "resume" : "pause");
  if (done !== undefined) paused = !paused;
  showControls();
});
$("skip").addEventListener("click", () => act("skip"));
$("replay").addEventListener("click", () => act("replay"));
$("clear").addEventListener("click", async () => {
  if (await confirmed(t("Drop all {n} messages that wait?", { n: queue.total }), t("Clear"))) await act("clear");
});
$("listen").addEventListener("change", () => speaker.setMuted(!$("listen").checked));
$("volume").value = speaker.player.level;
$("volume-icon").append(icon("sound"));
$("volume").addEventListener("input", () => {
  speaker.player.volume = Number($("volume").value);
  localStorage.setItem("volume", $("volume").value);
});
$("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const message = {
    id: crypto.getRandomValues(new Uint32Array(3)).join("-"), platform: "manual", channel: "page", username: $("say-name").value, priority: $("say-priority").value,
    content: $("say-text").value, metadata: {}, timestamp: new Date().toISOString(),
  };
  const answer = await submit($("say"), $("say-fault"), "/api/danmaku/enqueue", message);
  if (!answer) return;
  $("said").textContent = answer.skipped ? t("It will not be read: {reason}.", { reason: answer.reason }) : t("Accepted; {n} before it.", { n: answer.position });
  if (!answer.skipped) $("say-text").value = "";
  $("say-text").focus();
});
$("connect").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await submit($("connect"), $("connect-fault"), "/api/danmaku/start", { platform: $("platform").value, channel: $("channel").value.trim() });
  if (answer === undefined) return;
  $("channel").value = "";
  refresh();
});
$("obs").addEventListener("input", showOverlay);
$("obs").addEventListener("submit", (event) => event.preventDefault());
$("copy").addEventListener("click", async () => {
  $("address").select();
  // Without TLS on another machine there is no clipboard API; the text is selected then.
  const copied = await navigator.clipboard?.writeText($("address").value).then(() => true, () => false);
  toast(copied ? t("Copied.") : t("Selected: press Ctrl + C."));
});
addEventListener("keychanged", showOverlay);
onLanguage(() => {
  showConnection();
  showQueue();
  showCounts();
  showSources();
  showNow(speaker.current?.about ?? null);
});
shell();
showConnection();
showControls();
fillOverlay();
showOverlay();
feed.open();
