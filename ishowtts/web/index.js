// The speak page: a form, a player, what was spoken before.

import { askJson, explain } from "./api.js";
import { $, clearFields, confirmed, el, icon, tell, tellField, toast } from "./dom.js";
import * as store from "./history.js";
import { clock, duration, figure, onLanguage, t } from "./i18n.js";
import { Player } from "./player.js";
import { shell, watchHealth } from "./shell.js";
import { TYPES, formatsOffered, speak } from "./speech.js";
import { decode } from "./wav.js";
import { Waveform } from "./wave.js";

const TEXT_MAX = 5000; // of the server; counted in code points as there
const form = $("form");
const player = new Player();
const toggle = () => (player.playing ? player.pause() : player.play());
const wave = new Waveform($("wave"), (seconds) => player.seek(seconds), toggle);

let running = null; // AbortController of the request under way
let ready = false;
let figures = {}; // of the last speech: {first, total, length, rtf} in seconds, seed

// ---- what is shown ----

function showTimings() {
  const put = (id, value, show) => ($(id).textContent = value === undefined ? "–" : show(value));
  put("t-first", figures.first, duration);
  put("t-total", figures.total, duration);
  put("t-length", figures.length, duration);
  put("t-rtf", figures.rtf, (value) => figure(value, 3));
  put("t-seed", figures.seed, String);
}

function showPlayer() {
  const has = Boolean(wave.clip?.samples);
  const button = $("toggle");
  button.replaceChildren(icon(player.playing ? "pause" : "play"));
  button.setAttribute("aria-label", player.playing ? t("Pause") : t("Play"));
  button.disabled = !has;
  $("speak").disabled = Boolean(running);
  $("stop").disabled = !running && !player.playing;
  $("result").setAttribute("aria-busy", String(Boolean(running)));
  showPosition();
}

function showPosition() {
  wave.position = player.position;
  wave.refresh();
  $("time").textContent = wave.clip ? t("{at} of {all}", { at: duration(player.position), all: duration(wave.clip.seconds) }) : "–";
  $("blocked").hidden = !player.blocked;
}

function showDownload(blob, format, seed) {
  const link = $("download");
  if (link.href) URL.revokeObjectURL(link.href);
  link.hidden = !blob;
  if (!blob) return link.removeAttribute("href");
  link.href = URL.createObjectURL(blob);
  link.download = `speech-${seed}.${format}`;
}

const count = () => {
  const n = [...$("text").value].length;
  $("count").textContent = t("{n} of {max}", { n, max: TEXT_MAX });
  $("count").classList.toggle("over", n > TEXT_MAX);
};

const showSliders = () => {
  $("speed-value").textContent = Number($("speed").value).toFixed(2);
  $("steps-value").textContent = $("steps").value;
};

/** A box whose third state, neither, is the server's own setting. */
const choose = (box, value) => Object.assign(box, { checked: value ?? false, indeterminate: value === undefined });

// ---- speaking ----

function requestOf() {
  const request = { text: $("text").value, speed: Number($("speed").value), nfe_step: Number($("steps").value) };
  if ($("voice").value) request.voice_id = $("voice").value;
  if ($("solver").value) request.solver = $("solver").value;
  if ($("guidance-from").value) request.guidance_from = Number($("guidance-from").value);
  if ($("guidance-to").value) request.guidance_to = Number($("guidance-to").value);
  if (!$("short-guidance").indeterminate) request.short_guidance = $("short-guidance").checked;
  if ($("seed").value.trim()) request.seed = $("seed").value.trim();
  if ($("format").value !== "wav") request.format = $("format").value;
  if ($("rate").value) request.sample_rate = Number($("rate").value);
  return request;
}

function fail(error) {
  const message = explain(error);
  if (!tellField(form, error.field, message)) tell($("error"), message);
}

/** Hands the clip's pieces to the player; the context is made for the clip's rate first. */
function feed(clip) {
  const opened = player.open(clip.rate).then(() => player.play());
  let queue = opened;
  return {
    push: (samples) => (queue = queue.then(() => player.push(samples))),
    finish: () => (queue = queue.then(() => player.finish())),
  };
}

async function start() {
  if (running) return;
  clearFields(form);
  tell($("error"), "");
  player.clear();
  wave.clip = null;
  figures = {};
  showDownload(null);
  const mine = (running = new AbortController());
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const request = requestOf();
  let sound = null;
  wave.wait(true);
  showTimings();
  showPlayer();
  try {
    const { clip, blob, rtf } = await speak(request, mine.signal, {
      start: (about) => {
        wave.clip = about.clip;
        figures.seed = about.seed;
        sound = feed(about.clip);
      },
      audio: (samples) => {
        if (running !== mine) return;
        figures.first ??= elapsed();
        figures.length = wave.clip.seconds;
        sound.push(samples);
        showTimings();
        showPlayer();
      },
    });
    await sound.finish();
    Object.assign(figures, { total: elapsed(), length: clip.seconds, rtf });
    const format = request.format ?? "wav";
    showDownload(blob, format, figures.seed);
    $("said").textContent = t("{all} of speech are ready.", { all: duration(clip.seconds) });
    await store.keep({ when: Date.now(), request, seed: figures.seed, seconds: clip.seconds, rate: clip.rate, blob, figures }).then(showHistory, () => {});
  } catch (error) {
    await sound?.finish();
    if (error.name !== "AbortError") fail(error);
  } finally {
    if (running === mine) running = null;
    wave.wait(false);
    showTimings();
    showPlayer();
  }
}

function stop() {
  running?.abort();
  running = null;
  player.pause();
}

// ---- history ----

async function replay(entry) {
  stop();
  try {
    const clip = await decode(entry.blob, entry.rate);
    wave.clip = clip;
    figures = entry.figures;
    showTimings();
    showDownload(entry.blob, entry.request.format ?? "wav", entry.seed);
    const sound = feed(clip);
    sound.push(clip.pieces[0]);
    await sound.finish();
    showPlayer();
  } catch (error) {
    toast(explain(error), "bad");
  }
}

function reuse(entry) {
  const { text, speed, nfe_step, solver, guidance_from, guidance_to, short_guidance, voice_id, format, sample_rate } = entry.request;
  Object.entries({ text, speed, steps: nfe_step, solver: solver ?? "", "guidance-from": guidance_from ?? "", "guidance-to": guidance_to ?? "", voice: voice_id ?? "", format: format ?? "wav", rate: sample_rate ?? "", seed: entry.seed }).forEach(([id, value]) => ($(id).value = value));
  choose($("short-guidance"), short_guidance);
  count();
  showSliders();
  $("text").focus();
}

function save(entry) {
  const link = el("a", { href: URL.createObjectURL(entry.blob), download: `speech-${entry.seed}.${entry.request.format ?? "wav"}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function showHistory() {
  const list = await store.entries().catch(() => []);
  $("past").hidden = !list.length;
  $("history").replaceChildren(...list.map((entry) => {
    const words = entry.request.text;
    const act = (name, drawing, work) =>
      el("button", { type: "button", class: "quiet", title: name, "aria-label": `${name}: ${words.slice(0, 60)}`, onclick: work }, icon(drawing));
    return el("li", {},
      act(t("Play"), "play", () => replay(entry)),
      el("div", { class: "grow" }, el("p", { class: "clamp" }, words),
        el("p", { class: "soft" }, [clock(entry.when), duration(entry.seconds), entry.request.voice_id, (entry.request.format ?? "wav").toUpperCase(), t("seed {seed}", { seed: entry.seed })].filter(Boolean).join(" · "))),
      act(t("Use again"), "again", () => reuse(entry)),
      act(t("Download"), "download", () => save(entry)),
      act(t("Delete"), "trash", () => store.forget(entry.id).then(showHistory)));
  }));
}

// ---- the server's state ----

async function listVoices(chosen) {
  const wanted = new URLSearchParams(location.search).get("voice") ?? ($("voice").value || chosen);
  const voices = await askJson("/api/voices");
  const options = voices.map((v) => new Option(v.language ? `${v.id} (${v.language})` : v.id, v.id, false, v.id === wanted));
  if (options.length) $("voice").replaceChildren(...options);
}

async function listFormats() {
  const offered = await formatsOffered();
  $("format").replaceChildren(...offered.map((format) => new Option(format === "opus" ? "Opus" : format.toUpperCase(), format)));
}

watchHealth(async (health) => {
  if (health?.status !== "ready") ready = false;
  else if (!ready) {
    ready = true;
    await Promise.all([listVoices(health.default_voice), listFormats()]).catch(() => (ready = false));
  }
});

// ---- wiring ----

$("volume").value = localStorage.getItem("volume") ?? 1;
player.volume = Number($("volume").value);
$("volume").addEventListener("input", () => {
  player.volume = Number($("volume").value);
  localStorage.setItem("volume", $("volume").value);
});
$("volume-icon").append(icon("sound"));
$("text").addEventListener("input", count);
$("speed").addEventListener("input", showSliders);
$("steps").addEventListener("input", showSliders);
$("toggle").addEventListener("click", toggle);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
$("stop").addEventListener("click", stop);
$("forget-all").addEventListener("click", async () => {
  if (await confirmed(t("Delete all speech that is kept in this browser?"), t("Delete all"))) await store.forgetAll().then(showHistory);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Escape") stop();
});
player.addEventListener("change", showPlayer);
player.addEventListener("time", showPosition);
onLanguage(() => {
  count();
  showTimings();
  showPlayer();
  showHistory();
});
shell();
count();
showSliders();
choose($("short-guidance"));
showPlayer();
showHistory();
