// The dashboard: reads /api/health, /metrics and the chat's status again and again, and comes back by itself.

import { apiKey, ask, askJson, explain } from "./api.js";
import { $, el, tell } from "./dom.js";
import { duration, figure, onLanguage, size, t } from "./i18n.js";
import { Metrics } from "./metrics.js";
import { shell } from "./shell.js";
import { Spark } from "./spark.js";

const EVERY = 2000; // milliseconds
const LOST_MAX = 15000;
const CHAT_AGAIN = 20; // readings until a server without live chat is asked for it again
const READINGS = 60; // two minutes of them are compared and drawn

const spark = new Spark($("spark"), READINGS);
const readings = [];
let health = null;
let chat = null; // status of the live chat, null: the server has none
let wait = EVERY;
let timer = 0;

const small = (text) => (text ? el("small", {}, text) : "");
const put = (id, ...parts) => $(id).replaceChildren(...parts);
const rows = (id, list) =>
  $(id).replaceChildren(...list.filter(([, value]) => value !== undefined).map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "number" }, value))));

const STATUS = { ready: () => t("Ready"), loading: () => t("Loading"), draining: () => t("Closing") };
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
  put("queued", figure(now.one("queue_waiting") ?? 0), small(t("Speech that waits for the model")));
  put("flight", figure(now.one("queue_in_flight") ?? 0), small(t("Speech being made")));
  const [made, spent] = [now.since(first, "audio_seconds_total"), now.since(first, "synthesis_seconds_total")];
  const [allMade, allSpent] = [now.one("audio_seconds_total"), now.one("synthesis_seconds_total")];
  put("rtf", made ? figure(spent / made, 3) : allMade ? figure(allSpent / allMade, 3) : "–", small(made ? minutes : allMade ? t("since the start") : ""));
  const since = now.since(first, "first_audio_seconds_count") ? first : null;
  const middle = now.quantile(since, "first_audio_seconds", 0.5);
  put("first", middle === undefined ? "–" : duration(middle), small(middle === undefined ? "" : t("median; 95 %: {time}", { time: duration(now.quantile(since, "first_audio_seconds", 0.95)) })));
  rows("counters", [
    [t("Speech finished"), figure(now.one("utterances_total", { outcome: "completed" }) ?? 0)],
    [t("Speech failed"), figure(now.one("utterances_total", { outcome: "failed" }) ?? 0)],
    [t("Speech cancelled"), figure(now.one("utterances_total", { outcome: "cancelled" }) ?? 0)],
    [t("Speech refused"), figure(now.one("utterances_total", { outcome: "refused" }) ?? 0)],
    [t("Audio made"), duration(now.one("audio_seconds_total") ?? 0)],
    [t("Steps of the model"), figure(now.one("steps_total") ?? 0)],
    [t("Requests"), figure(now.sum("http_requests_total"))],
    [t("Requests refused or failed"), figure(now.sum("http_requests_total", ({ status }) => Number(status) >= 400))],
    [t("Open connections"), figure(now.one("connections") ?? 0)],
    [t("Cache hits"), percent(now.one("cache_hits_total") ?? 0, (now.one("cache_hits_total") ?? 0) + (now.one("cache_misses_total") ?? 0))],
    [t("Cache"), size(now.one("cache_bytes") ?? 0)],
    [t("Memory"), size(now.one("resident_bytes") ?? 0)],
    [t("Processor time"), duration(now.one("cpu_seconds_total") ?? 0)],
  ]);
}

function showSpark() {
  const known = spark.values.filter((value) => value !== undefined);
  $("spark-now").textContent = known.length ? t("latest {now}, highest {top}", { now: duration(known.at(-1)), top: duration(Math.max(...known)) }) : t("nothing was spoken yet");
}

function showChat() {
  $("chat-none").hidden = chat !== null;
  $("sources").replaceChildren(...(chat?.connections ?? []).map(({ platform, channel, state, text }) => el("li", {}, el("div", { class: "grow" }, `${platform} · ${channel} `, text && el("p", { class: "soft" }, text)), el("span", { class: "badge" }, state))));
  if (!chat) return rows("chat", []);
  const { counts, queue, listeners, paused } = chat;
  rows("chat", [
    [t("State"), paused ? t("Paused") : t("Reading")],
    [t("Waiting"), queue && figure(Object.values(queue).reduce((sum, n) => sum + n, 0))],
    [t("Listeners"), listeners !== undefined ? figure(listeners) : undefined],
    [t("Received"), counts && figure(counts.received)],
    [t("Read"), counts && figure(counts.spoken)],
    [t("Skipped"), counts && figure(counts.skipped)],
    [t("Deleted"), counts && figure(counts.deleted)],
    ...Object.entries(counts?.dropped ?? {}).map(([reason, n]) => [t("Not read: {reason}", { reason }), figure(n)]),
  ]);
}

async function look() {
  clearTimeout(timer);
  try {
    health = await askJson("/api/health");
    const now = new Metrics(await (await ask("/metrics")).text(), Date.now());
    spark.add(readings.length ? now.mean(readings.at(-1), "first_audio_seconds") : undefined);
    readings.push(now);
    if (readings.length > READINGS) readings.shift();
    if (chat !== null || readings.length % CHAT_AGAIN === 1) {
      chat = await askJson("/api/danmaku/status").catch((error) => {
        if (error.missing) return null;
        throw error;
      });
    }
    tell($("lost"), "");
    wait = EVERY;
    show();
  } catch (error) {
    tell($("lost"), `${explain(error)} ${t("Trying again.")}`);
    wait = Math.min(wait * 1.5, LOST_MAX);
  }
  timer = setTimeout(look, wait);
}

function show() {
  if (!readings.length) return;
  showHealth();
  showMetrics();
  showSpark();
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
showSpark();
look();
