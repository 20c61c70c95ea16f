// The dashboard: reads /api/health, /metrics and the chat's status again and again, and comes back by itself.

import { apiKey, ask, askJson, explain } from "./api.js";
import { $, el, tell } from "./dom.js";
import { duration, figure, onLanguage, size, t } from "./i18n.js";
import { Metrics } from "./metrics.js";
import { platformName, stateBadge } from "./platforms.js";
import { reasonText } from "./reasons.js";
import { shell } from "./shell.js";
import { Spark } from "./spark.js";

const EVERY = 2000; // milliseconds
const ANSWER_SECONDS = 2; // for each answer: with EVERY, a dead server is seen within five seconds
const CHAT_AGAIN = 20; // readings until a server without live chat is asked for it again
const READINGS = 60; // two minutes of them are compared
const HISTORY_AGAIN = 3; // readings until the server's last hour is read again
const HOUR = 720; // of its samples

/** The plots of the last hour: id → value of a sample and how it is written. */
const PLOTS = {
  rtf: [(sample) => sample.rtf, (value) => figure(value, 3)],
  first: [(sample) => sample.first_audio, duration],
  queue: [(sample) => sample.waiting + sample.in_flight, (value) => figure(value)],
  memory: [(sample) => sample.resident_bytes, size],
  failures: [(sample) => sample.failed + sample.refused + sample.cancelled, (value) => figure(value)],
};
const sparks = Object.fromEntries(Object.keys(PLOTS).map((id) => [id, new Spark($(`plot-${id}`), HOUR)]));
let history = []; // samples by the names of their columns
const readings = [];
let health = null;
let cluster = null; // of a gateway: workers, gateways and chats
let chat = null; // status of the live chat, null: the server has none
let timer = 0;
let asks = 0; // readings so far

const small = (text) => (text ? el("small", {}, text) : "");
const put = (id, ...parts) => $(id).replaceChildren(...parts);
const rows = (id, list) =>
  $(id).replaceChildren(
    ...list
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "number" }, value))),
  );

const STATUS = { ready: () => t("Ready"), loading: () => t("Loading"), draining: () => t("Shutting down") };
const COMPILE = { none: () => t("Off"), running: () => t("Running"), done: () => t("Done"), failed: () => t("Failed") };
const percent = (part, all) => (all ? `${figure((100 * part) / all)} %` : "–");

function showHealth() {
  put("status", STATUS[health.status]?.() ?? health.status, small(`${t("Version")} ${health.version}`));
  put("backend", health.backend ?? "–", small(health.precision));
  put("model", health.model ?? "–", small(health.voices.length ? t("Voices: {n}", { n: health.voices.length }) : ""));
  put("compile", COMPILE[health.compile]?.() ?? health.compile, small(health.compile_error));
}

function showMetrics() {
  const now = readings.at(-1);
  const first = readings[0];
  const minutes = t("last {time}", { time: duration((now.when - first.when) / 1000) });
  put("queued", figure(now.one("queue_waiting") ?? 0), small(t("waiting for the model")));
  put("flight", figure(now.one("queue_in_flight") ?? 0), small(t("being spoken")));
  const [made, spent] = [now.since(first, "audio_seconds_total"), now.since(first, "synthesis_seconds_total")];
  const [allMade, allSpent] = [now.one("audio_seconds_total"), now.one("synthesis_seconds_total")];
  put(
    "rtf",
    made ? figure(spent / made, 3) : allMade ? figure(allSpent / allMade, 3) : "–",
    small(made ? minutes : allMade ? t("since the start") : ""),
  );
  const since = now.since(first, "first_audio_seconds_count") ? first : null;
  const middle = now.quantile(since, "first_audio_seconds", 0.5);
  put(
    "first",
    middle === undefined ? "–" : duration(middle),
    small(
      middle === undefined
        ? ""
        : t("median; 95 %: {time}", { time: duration(now.quantile(since, "first_audio_seconds", 0.95)) }),
    ),
  );
  rows("counters", [
    [t("Speech requests completed"), figure(now.one("utterances_total", { outcome: "completed" }) ?? 0)],
    [t("Audio produced"), duration(now.one("audio_seconds_total") ?? 0)],
    [t("Model steps"), figure(now.one("steps_total") ?? 0)],
    [t("HTTP requests"), figure(now.sum("http_requests_total"))],
    [t("Open connections"), figure(now.one("connections") ?? 0)],
    [
      t("Cache hits"),
      percent(
        now.one("cache_hits_total") ?? 0,
        (now.one("cache_hits_total") ?? 0) + (now.one("cache_misses_total") ?? 0),
      ),
    ],
    [t("Cache size"), size(now.one("cache_bytes") ?? 0)],
    [t("Memory"), size(now.one("resident_bytes") ?? 0)],
    [t("CPU time"), duration(now.one("cpu_seconds_total") ?? 0)],
  ]);
}

const CAUSES = {
  400: () => t("Invalid request"),
  401: () => t("API key missing or wrong"),
  403: () => t("Host or origin not allowed"),
  404: () => t("Not found"),
  405: () => t("Method not allowed"),
  409: () => t("Conflict"),
  413: () => t("Request too large"),
  415: () => t("Wrong content type"),
  429: () => t("Queue full"),
  500: () => t("Server error"),
  502: () => t("Model failed"),
  503: () => t("Loading, shutting down or storage failed"),
  504: () => t("Took too long"),
};

/** What went wrong, by cause: utterances by their outcome, requests by their status. Causes that never came are left
 *  out. */
function showFailures() {
  const now = readings.at(-1);
  const byStatus = new Map();
  for (const { labels, value } of now.all("http_requests_total")) {
    if (Number(labels.status) >= 400 && value) byStatus.set(labels.status, (byStatus.get(labels.status) ?? 0) + value);
  }
  const outcomes = {
    failed: t("Speech requests failed"),
    refused: t("Speech requests refused"),
    cancelled: t("Speech requests cancelled"),
  };
  const list = Object.entries(outcomes)
    .map(([outcome, name]) => [name, now.one("utterances_total", { outcome }) ?? 0])
    .filter(([, n]) => n);
  for (const [status, n] of [...byStatus].sort(([a], [b]) => a - b))
    list.push([`${CAUSES[status]?.() ?? t("HTTP status")} (${status})`, n]);
  rows(
    "failures",
    list.map(([name, n]) => [name, figure(n)]),
  );
  $("failures-none").hidden = list.length > 0;
}

function showHistory() {
  const ever = readings.at(-1)?.one("first_audio_seconds_count");
  for (const [id, [value, write]] of Object.entries(PLOTS)) {
    const values = history.map(value);
    const known = values.filter((one) => one !== null);
    sparks[id].show(values);
    $(`plot-${id}-now`).textContent = known.length
      ? t("latest {now}, highest {top}", { now: write(known.at(-1)), top: write(Math.max(...known)) })
      : ever
        ? t("Nothing spoken in the last hour")
        : t("Nothing spoken yet");
  }
}

async function readHistory() {
  const { columns, samples } = await askJson("/api/history", { seconds: ANSWER_SECONDS });
  history = samples.map((values) => Object.fromEntries(columns.map((name, i) => [name, values[i]])));
}

function showChat() {
  $("chat-none").hidden = chat !== null;
  $("sources").replaceChildren(
    ...(chat?.connections ?? []).map((source) =>
      el(
        "li",
        {},
        el(
          "div",
          { class: "grow" },
          `${platformName(source.platform)} · ${source.channel} `,
          source.text && el("p", { class: "soft" }, source.text),
        ),
        stateBadge(source),
      ),
    ),
  );
  if (!chat) return rows("chat", []);
  const { counts, queue, listeners, paused } = chat;
  rows("chat", [
    [t("State"), paused ? t("Paused") : t("Running")],
    [t("Waiting"), queue && figure(Object.values(queue).reduce((sum, n) => sum + n, 0))],
    [t("Listeners"), listeners !== undefined ? figure(listeners) : undefined],
    [t("Received"), counts && figure(counts.received)],
    [t("Read"), counts && figure(counts.spoken)],
    [t("Skipped"), counts && figure(counts.skipped)],
    [t("Deleted"), counts && figure(counts.deleted)],
    ...Object.entries(counts?.dropped ?? {}).map(([reason, n]) => [
      t("Not read: {reason}", { reason: reasonText(reason) }),
      figure(n),
    ]),
  ]);
}

const WORKER_STATE = {
  ready: () => t("Ready"),
  leaving: () => t("Leaving"),
  "other labels": () => t("Other labels"),
  "other model": () => t("Other model"),
  "other protocol": () => t("Other protocol"),
};

function showCluster() {
  $("cluster").hidden = cluster === null;
  if (!cluster) return;
  $("cluster-none").hidden = cluster.connected && cluster.workers.length > 0;
  $("workers").replaceChildren(
    ...cluster.workers.map((one) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, one.name),
        el("td", {}, WORKER_STATE[one.state]?.() ?? one.state),
        el("td", {}, one.version),
        el("td", {}, `${one.backend} ${one.precision}`),
        el("td", { class: "number" }, figure(one.utterances)),
        el("td", { class: "number" }, duration(one.waiting_seconds)),
        el("td", { class: "number" }, figure(one.spoken)),
      ),
    ),
  );
  const led = (name) => cluster.chats.filter((chat) => chat.leader === name).map((chat) => chat.name);
  $("gateways").replaceChildren(
    ...cluster.gateways.map((one) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, one.name),
        el("td", {}, WORKER_STATE[one.state]?.() ?? one.state),
        el("td", {}, one.version),
        el("td", {}, t("Gateway, reads {n} chats", { n: figure(led(one.name).length) })),
        el("td", { class: "number" }, figure(one.utterances)),
        el("td", {}),
        el("td", {}),
      ),
    ),
  );
}

async function look() {
  clearTimeout(timer);
  try {
    health = await askJson("/api/health", { seconds: ANSWER_SECONDS });
    const now = new Metrics(await (await ask("/metrics", { seconds: ANSWER_SECONDS })).text(), Date.now());
    if (health.status !== "loading" && asks++ % HISTORY_AGAIN === 0) await readHistory();
    cluster = health.backend === "cluster" ? await askJson("/api/cluster", { seconds: ANSWER_SECONDS }) : null;
    readings.push(now);
    if (readings.length > READINGS) readings.shift();
    if (chat !== null || readings.length % CHAT_AGAIN === 1) {
      chat = await askJson("/api/danmaku/status", { seconds: ANSWER_SECONDS }).catch((error) => {
        if (error.missing) return null;
        throw error;
      });
    }
    tell($("lost"), "");
    show();
  } catch (error) {
    tell($("lost"), `${explain(error)} ${t("Retrying.")}`);
    $("status").replaceChildren(t("Offline"));
  }
  timer = setTimeout(look, EVERY);
}

function show() {
  if (!readings.length) return;
  showHealth();
  showMetrics();
  showFailures();
  showHistory();
  showCluster();
  showChat();
}

$("metrics-link").addEventListener("click", () => {
  if (apiKey()) $("metrics-link").search = new URLSearchParams({ key: apiKey() });
});
addEventListener("keychanged", look);
addEventListener("online", look);
document.addEventListener("visibilitychange", () => document.hidden || look());
onLanguage(show);
shell();
showHistory();
look();
