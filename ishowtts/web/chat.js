// The chat page: what is read now, what waits, what came, what was not read; controls, platforms, and the overlay's
// address.

import { askJson, explain } from "./api.js";
import { Captions } from "./captions.js";
import { $, clearFields, confirmed, el, icon, tell, tellField, toast } from "./dom.js";
import { clock, duration, figure, onLanguage, t } from "./i18n.js";
import { Feed, Speaker, amountOf } from "./live.js";
import { overlayForm } from "./obs.js";
import { sampleSentence } from "./picker.js";
import { placeOf, platformForm, showSources } from "./platforms.js";
import { reasonText } from "./reasons.js";
import { muteButton, showHeld, showMuted } from "./moderation.js";
import { shell, watchHealth } from "./shell.js";

const LOG_MAX = 200;
const QUEUE_SHOWN = 50;
const LOG_KEY = "chat.log"; // of this tab: a reload keeps what was said
const feed = new Feed();
const speaker = new Speaker(feed, { muted: true, volume: Number(localStorage.getItem("volume") ?? 1) });
const captions = new Captions($("now-words"), speaker, { named: true });
const entries = new Map(); // id → line of the log
let connection = { state: "connecting" };
let paused = false;
let counts = null;
let queue = { playing: null, waiting: [], held: [], refused: [], muted: [], total: 0 };
let sources = [];
let seen = []; // messages of the log, oldest first
let speakerOfTests = {}; // the default voice

const NAMES = {
  Normal: () => t("Normal"),
  Mention: () => t("Mention"),
  Moderator: () => t("Moderator"),
  Paid: () => t("Paid"),
  Gift: () => t("Gift"),
};
const KINDS = { Paid: "warn", Gift: "warn", Moderator: "good" };
const badge = ({ priority, amount }) =>
  priority === "Normal"
    ? null
    : el(
        "span",
        { class: `badge ${KINDS[priority] ?? ""}` },
        amountOf({ amount }) || (NAMES[priority]?.() ?? priority),
      );

/** Who says it; others who said the same are counted. */
const who = ({ user, merged = [] }) =>
  merged.length ? t("{name} and {n} more", { name: user, n: merged.length }) : user;

// ---- what is shown ----

function showConnection() {
  const words = {
    connecting: t("Connecting…"),
    open: t("Connected"),
    waiting: t("Reconnecting…"),
    failed: t("Unavailable"),
  };
  const kind = { open: "good", failed: "bad" }[connection.state] ?? "warn";
  $("link").className = `badge ${kind}`;
  $("link").textContent = words[connection.state];
  const { error } = connection;
  tell(
    $("missing"),
    connection.state === "failed" ? (error.missing ? t("This server has no live chat.") : explain(error)) : "",
  );
}

function showControls() {
  $("pause").textContent = paused ? t("Resume") : t("Pause");
  $("pause").classList.toggle("primary", !paused);
  $("skip").disabled = !queue.playing && !speaker.current;
  $("clear").disabled = !queue.waiting.length;
}

function showNow(about) {
  $("now-who").textContent = about
    ? [who(about), amountOf(about), placeOf(about)].filter(Boolean).join(" · ")
    : "";
  if (!about) {
    captions.clear();
    $("now-words").replaceChildren(el("p", { class: "soft" }, t("Nothing is playing.")));
  }
  for (const [id, line] of entries) line.classList.toggle("now", id === about?.id);
  showControls();
}

/** Who wrote what, and under it the details that there are. */
function messageText(item, ...details) {
  return el(
    "div",
    { class: "grow" },
    el("p", { class: "clamp" }, el("span", { class: "who" }, item.user), ` ${item.text}`),
    el("p", { class: "soft" }, details.filter(Boolean).join(" · ")),
  );
}

function showQueue() {
  const shown = queue.waiting.slice(0, QUEUE_SHOWN);
  $("queue").replaceChildren(
    ...shown.map((item) =>
      el(
        "li",
        {},
        messageText(item, t("waiting {time}", { time: duration(item.waited) }), item.ready && t("ready")),
        badge(item),
        muteButton(item, decide),
        el(
          "button",
          {
            type: "button",
            class: "quiet",
            title: t("Skip"),
            "aria-label": t("Skip: {text}", { text: item.text.slice(0, 60) }),
            onclick: () => act("skip", { id: item.id }),
          },
          icon("skip"),
        ),
      ),
    ),
  );
  $("queue-empty").hidden = shown.length > 0;
  $("waiting").textContent = queue.total ? t("Waiting: {n}", { n: queue.total }) : "";
  showControls();
}

function showRefused() {
  const refused = queue.refused ?? [];
  $("refused").replaceChildren(
    ...refused
      .toReversed()
      .map((item) =>
        el(
          "li",
          {},
          messageText(item, clock(item.timestamp), placeOf(item)),
          el("span", { class: "badge warn" }, reasonText(item.reason)),
          item.reason !== "muted" && muteButton(item, decide),
        ),
      ),
  );
  $("refused-empty").hidden = refused.length > 0;
  $("refused").hidden = !refused.length;
  $("refused-count").textContent = refused.length ? t("Last {n}", { n: refused.length }) : "";
}

function showModeration() {
  showHeld(queue.held ?? [], (item) => messageText(item, placeOf(item)), decide);
  showMuted(queue.muted ?? [], decide);
}

function showCounts() {
  if (!counts) return;
  const names = {
    received: t("Received"),
    spoken: t("Read"),
    skipped: t("Skipped"),
    deleted: t("Deleted"),
    waiting: t("Waiting"),
  };
  const dropped = Object.values(counts.dropped).reduce((sum, n) => sum + n, 0);
  const rows = [...Object.entries(names).map(([key, name]) => [name, counts[key]]), [t("Not read"), dropped]];
  $("counts").replaceChildren(...rows.map(([name, n]) => el("div", {}, el("dt", {}, name), el("dd", {}, figure(n)))));
  $("counts").title = Object.entries(counts.dropped)
    .map(([reason, n]) => `${reasonText(reason)} ${n}`)
    .join(", ");
}

function addMessage(message) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const line = el(
    "li",
    {},
    el("time", {}, clock(message.timestamp || Date.now())),
    el("span", { class: "words" }, el("span", { class: "who" }, message.user), ` ${message.text}`),
    badge(message),
  );
  entries.set(message.id, line);
  line.classList.toggle("gone", Boolean(message.gone));
  log.append(line);
  while (log.childElementCount > LOG_MAX) {
    const [id, oldest] = entries.entries().next().value;
    entries.delete(id);
    oldest.remove();
  }
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// ---- the log over a reload ----

const keepLog = () => sessionStorage.setItem(LOG_KEY, JSON.stringify((seen = seen.slice(-LOG_MAX))));

function restoreLog() {
  try {
    seen = JSON.parse(sessionStorage.getItem(LOG_KEY)) ?? [];
  } catch {
    seen = [];
  }
  seen.forEach(addMessage);
  $("log").scrollTop = $("log").scrollHeight;
}

/** A message of the feed; one that the log has already, after a reload, is not added again. */
function noteMessage({ id, user, text, priority, amount, timestamp }) {
  if (entries.has(id)) return;
  seen.push({ id, user, text, priority, amount, timestamp: timestamp || Date.now() });
  addMessage(seen.at(-1));
  keepLog();
}

function noteGone(ids) {
  for (const message of seen) if (ids.includes(message.id)) message.gone = true;
  for (const id of ids) entries.get(id)?.classList.add("gone");
  keepLog();
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

/** A moderator's verb; the lists follow at once. */
async function decide(verb, json) {
  await act(verb, json);
  refresh();
}

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
      showRefused();
      showModeration();
      showSources(sources, disconnect);
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

// ---- wiring ----

feed.on("connection", (news) => {
  connection = news;
  showConnection();
  if (news.state === "open") refresh();
});
feed.on("message", (message) => {
  noteMessage(message);
  refresh();
});
feed.on("deleted", ({ ids }) => {
  noteGone(ids);
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
  if (await confirmed(t("Remove all {n} waiting messages?", { n: queue.total }), t("Clear queue"))) await act("clear");
});
$("listen").addEventListener("change", () => speaker.setMuted(!$("listen").checked));
$("volume").value = speaker.player.level;
$("volume-icon").append(icon("sound"));
$("volume").addEventListener("input", () => {
  speaker.player.volume = Number($("volume").value);
  localStorage.setItem("volume", $("volume").value);
});
/** Sends a message by hand. @returns {Promise<boolean>} whether it will be read */
async function say(username, content, priority, more = {}) {
  const id = crypto.getRandomValues(new Uint32Array(3)).join("-");
  const message = {
    id,
    platform: "manual",
    channel: "page",
    username,
    priority,
    content,
    metadata: {},
    timestamp: new Date().toISOString(),
    ...more,
  };
  const answer = await submit($("say"), $("say-fault"), "/api/danmaku/enqueue", message);
  if (!answer) return false;
  refresh();
  const place = answer.held ? t("Sent. It waits for approval.") : t("Sent.");
  const before = answer.position ? t("Sent. {n} ahead of it.", { n: answer.position }) : place;
  $("said").textContent = answer.skipped ? t("Not read: {reason}.", { reason: reasonText(answer.reason) }) : before;
  return !answer.skipped;
}

$("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await say($("say-name").value, $("say-text").value, $("say-priority").value)) $("say-text").value = "";
  $("say-text").focus();
});
$("test").addEventListener("click", () =>
  say(t("Test"), sampleSentence(speakerOfTests), "Normal", { user_id: crypto.randomUUID?.() ?? String(Math.random()) }),
);
onLanguage(() => {
  showConnection();
  showQueue();
  showRefused();
  showModeration();
  showCounts();
  showSources(sources, disconnect);
  showNow(speaker.current?.about ?? null);
});
shell();
showConnection();
showControls();
overlayForm();
platformForm(submit, refresh);
restoreLog();
watchHealth((health) => {
  if (health?.default_voice && !speakerOfTests.id)
    askJson("/api/voices").then(
      (voices) => (speakerOfTests = voices.find(({ id }) => id === health.default_voice) ?? {}),
      () => {},
    );
});
feed.open();
