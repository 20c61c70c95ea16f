// The speak page: a form, a player, what was spoken before.

import { askJson, explain } from "./api.js";
import { $, asked, clearFields, confirmed, copyText, el, icon, tell, tellField, toast } from "./dom.js";
import * as store from "./history.js";
import { clock, duration, figure, language, onLanguage, t } from "./i18n.js";
import { chooseVoice, languageName, setPreviewVolume } from "./picker.js";
import { Player } from "./player.js";
import { draft, forgetPreset, keepDraft, keepPreset, linkOf, presets, requestIn } from "./presets.js";
import { showLexicon, showReading } from "./reading.js";
import { Reading } from "./spoken.js";
import { isServing, shell, watchHealth } from "./shell.js";
import { TYPES, formatsOffered, speak } from "./speech.js";
import { decode } from "./wav.js";
import { Waveform } from "./wave.js";

const TEXT_MAX = 5000; // of the server; counted in code points as there
const form = $("form");
const player = new Player();
const toggle = () => (player.playing ? player.pause() : player.play());
const reading = new Reading($("spoken"));
const wave = new Waveform($("wave"), (seconds) => player.seek(seconds), toggle);

let running = null; // AbortController of the request under way
let ready = false;
let figures = {}; // of the last speech: {first, total, length, rtf} in seconds, seed
let voices = [];
let own = { speed: 1, nfe: null }; // the server's settings, which a request leaves out; nfe null: not known yet
let ownVoice = ""; // the server's default voice
let wanted = {}; // what the form shall hold, for choices that the server has not listed yet

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
  reading.show(player.playing || player.position ? player.position : -1);
  wave.refresh();
  $("time").textContent = wave.clip
    ? t("{at} of {all}", { at: duration(player.position), all: duration(wave.clip.seconds) })
    : "–";
  $("blocked").hidden = !player.blocked;
}

/** Says that the voice left words out. @param {{count: number, first: string}} [unspoken] */
function showUnspoken(unspoken, voice) {
  const { count = 0, first } = unspoken ?? {};
  const words =
    count === 1
      ? t("{voice} cannot read “{first}”. Choose a voice that speaks this language.", { voice, first })
      : t("{voice} cannot read {n} of these words, such as “{first}”. Choose a voice that speaks their language.", {
          voice,
          first,
          n: count,
        });
  tell($("unspoken"), count ? words : "");
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
  const steps = Number($("steps").value);
  $("steps-value").textContent = own.nfe === null ? "" : steps || t("Default");
};

/** A box whose third state, neither, is the server's own setting. */
const choose = (box, value) => Object.assign(box, { checked: value ?? false, indeterminate: value === undefined });

// ---- the form ----

/** The request that the form holds; what is as the server has it is left out. */
function requestOf() {
  const request = { text: $("text").value };
  const put = (name, value) => value && (request[name] = value);
  put("voice_id", $("voice").value || wanted.voice_id);
  if (Number($("speed").value) !== own.speed) request.speed = Number($("speed").value);
  const steps = own.nfe === null ? wanted.nfe_step : Number($("steps").value);
  if (steps !== undefined && steps !== own.nfe) request.nfe_step = steps; // 0 is a choice too: that of the model
  put("solver", $("solver").value);
  if ($("guidance-from").value) request.guidance_from = Number($("guidance-from").value);
  if ($("guidance-to").value) request.guidance_to = Number($("guidance-to").value);
  if (!$("short-guidance").indeterminate && !$("short-guidance-field").hidden)
    request.short_guidance = $("short-guidance").checked;
  put("seed", $("seed").value.trim());
  if ($("format").value !== "wav") request.format = $("format").value;
  else if (!ready) put("format", wanted.format);
  put("sample_rate", Number($("rate").value));
  return request;
}

/** Puts a request into the form. Without a text the one that is there stays. */
function fill(request) {
  wanted = request;
  const has = (select, value) => [...select.options].some((option) => option.value === value);
  if (request.text !== undefined) $("text").value = request.text;
  if (has($("voice"), request.voice_id)) $("voice").value = request.voice_id;
  if (has($("format"), request.format ?? "wav")) $("format").value = request.format ?? "wav";
  $("speed").value = request.speed ?? own.speed;
  $("steps").value = request.nfe_step ?? own.nfe ?? 0;
  $("solver").value = request.solver ?? "";
  $("guidance-from").value = request.guidance_from ?? "";
  $("guidance-to").value = request.guidance_to ?? "";
  choose($("short-guidance"), request.short_guidance);
  $("seed").value = request.seed ?? "";
  $("rate").value = request.sample_rate ?? "";
  const { text, voice_id, speed, format, ...rare } = request;
  if (Object.keys(rare).length) $("advanced").open = true;
  count();
  showSliders();
}

function remember() {
  if (ready) wanted = {}; // else the choices are not there yet
  keepDraft(requestOf());
}

function showPresets(chosen = "") {
  const names = Object.keys(presets()).sort();
  $("preset").replaceChildren(
    new Option(names.length ? t("Presets") : t("No presets yet"), ""),
    ...names.map((name) => new Option(name, name, false, name === chosen)),
  );
  $("preset").disabled = !names.length;
  $("preset-delete").disabled = !chosen;
}

async function savePreset() {
  const name = await asked(t("Name of the preset"), $("preset").value);
  if (!name) return;
  keepPreset(name, requestOf());
  showPresets(name);
  toast(t("Preset {name} saved.", { name }));
}

async function copyLink() {
  const link = linkOf(requestOf());
  if (await copyText(link)) toast(t("Link copied. It holds the text and the settings."));
  else await asked(t("Copy this link"), link);
}

/** A link's request, where the address has one; it is taken out of the address. */
function adoptLink() {
  const request = requestIn(location.hash);
  if (request) history.replaceState(null, "", location.pathname + location.search);
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
  reading.clear();
  figures = {};
  showDownload(null);
  showUnspoken();
  const mine = (running = new AbortController());
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const request = requestOf();
  let sound = null;
  wave.wait(true);
  showTimings();
  showPlayer();
  try {
    const { clip, blob, rtf, unspoken } = await speak(request, mine.signal, {
      start: (about) => {
        wave.clip = about.clip;
        figures.seed = about.seed;
        reading.begin(request.text);
        sound = feed(about.clip);
      },
      word: (word) => running === mine && reading.add(word),
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
    showUnspoken(unspoken, request.voice_id ?? ownVoice);
    const format = request.format ?? "wav";
    showDownload(blob, format, figures.seed);
    $("said").textContent = t("{all} of audio ready.", { all: duration(clip.seconds) });
    await store
      .keep({
        when: Date.now(),
        request,
        seed: figures.seed,
        seconds: clip.seconds,
        rate: clip.rate,
        blob,
        figures,
        words: reading.words,
      })
      .then(showHistory, () => {});
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
    reading.begin(entry.request.text);
    for (const word of entry.words) reading.add(word);
    figures = entry.figures;
    showUnspoken();
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
  fill({ ...entry.request, seed: entry.seed });
  remember();
  $("text").focus();
}

function save(entry) {
  const link = el("a", {
    href: URL.createObjectURL(entry.blob),
    download: `speech-${entry.seed}.${entry.request.format ?? "wav"}`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function showHistory() {
  const list = await store.entries().catch(() => []);
  $("past").hidden = !list.length;
  $("history").replaceChildren(
    ...list.map((entry) => {
      const words = entry.request.text;
      const act = (name, drawing, work) =>
        el(
          "button",
          {
            type: "button",
            class: "quiet",
            title: name,
            "aria-label": `${name}: ${words.slice(0, 60)}`,
            onclick: work,
          },
          icon(drawing),
        );
      return el(
        "li",
        {},
        act(t("Play"), "play", () => replay(entry)),
        el(
          "div",
          { class: "grow" },
          el("p", { class: "clamp" }, words),
          el(
            "p",
            { class: "soft" },
            [
              clock(entry.when),
              duration(entry.seconds),
              entry.request.voice_id,
              (entry.request.format ?? "wav").toUpperCase(),
              t("seed {seed}", { seed: entry.seed }),
            ]
              .filter(Boolean)
              .join(" · "),
          ),
        ),
        act(t("Use again"), "again", () => reuse(entry)),
        act(t("Download"), "download", () => save(entry)),
        act(t("Delete"), "trash", () => store.forget(entry.id).then(showHistory)),
      );
    }),
  );
}

// ---- the server's state ----

/** The voice of who has chosen none: the server's own, or where that speaks another language than the page, the first
 *  one that speaks the page's. */
function fittingVoice() {
  const speaks = (voice) => !voice.language || voice.language.startsWith(language());
  const voice = voices.find(({ id }) => id === ownVoice);
  return !voice || speaks(voice) ? ownVoice : (voices.find(speaks)?.id ?? ownVoice);
}

/** The text of who has written none, in the page's language. */
function showSample() {
  if (!draft() && wanted.text === undefined) $("text").value = $("text").defaultValue;
}

function showVoices() {
  const current = wanted.voice_id || (draft() && $("voice").value) || fittingVoice();
  const options = voices.map(
    (v) => new Option(v.language ? `${v.id} (${languageName(v.language)})` : v.id, v.id, false, v.id === current),
  );
  if (options.length) $("voice").replaceChildren(...options);
  $("browse").disabled = !voices.length;
}

async function listVoices() {
  voices = await askJson("/api/voices");
  showVoices();
}

/** The server's own settings, which the sliders show until they are moved. */
async function readSettings() {
  const { sampling } = (await askJson("/api/config")).settings;
  own = { speed: sampling.speed, nfe: sampling.nfe };
}

async function listFormats() {
  const offered = await formatsOffered();
  $("format").replaceChildren(
    ...offered.map((format) => new Option(format === "opus" ? "Opus" : format.toUpperCase(), format)),
  );
}

watchHealth(async (health) => {
  if (!isServing(health)) ready = false;
  else if (!ready) {
    ready = true;
    ownVoice = health.default_voice;
    $("short-guidance-field").hidden = !health.cloning;
    try {
      await Promise.all([listVoices(), listFormats(), readSettings()]);
      fill(wanted);
    } catch {
      ready = false;
    }
  }
});

// ---- wiring ----

$("volume").value = localStorage.getItem("volume") ?? 1;
player.volume = Number($("volume").value);
setPreviewVolume(player.level);
$("volume").addEventListener("input", () => {
  player.volume = Number($("volume").value);
  setPreviewVolume(player.level);
  localStorage.setItem("volume", $("volume").value);
});
$("volume-icon").append(icon("sound"));
const readSoon = showReading(requestOf);
showLexicon(() => $("voice").value);
form.addEventListener("input", () => {
  count();
  readSoon();
  showSliders();
  if ($("preset").value && document.activeElement !== $("text")) showPresets();
  remember();
});
$("browse").addEventListener("click", async () => {
  const id = await chooseVoice(voices, $("voice").value);
  if (id) $("voice").value = id;
  remember();
  $("voice").focus();
});
$("preset").addEventListener("input", (event) => event.stopPropagation());
$("preset").addEventListener("change", () => {
  const name = $("preset").value;
  if (name) fill(presets()[name]);
  $("preset-delete").disabled = !name;
  remember();
});
$("preset-save").addEventListener("click", savePreset);
$("preset-delete").addEventListener("click", () => {
  forgetPreset($("preset").value);
  showPresets();
});
$("link").addEventListener("click", copyLink);
addEventListener("hashchange", () => {
  const request = adoptLink();
  if (request) fill(request);
  remember();
});
$("toggle").addEventListener("click", toggle);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
$("stop").addEventListener("click", stop);
$("forget-all").addEventListener("click", async () => {
  if (await confirmed(t("Delete the whole history?"), t("Delete all"))) await store.forgetAll().then(showHistory);
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
  showSample();
  count();
  showVoices();
  showTimings();
  showPlayer();
  showPresets($("preset").value);
  showHistory();
});
shell();
showPresets();
const named = new URLSearchParams(location.search).get("voice");
showSample();
fill(adoptLink() ?? { ...draft(), ...(named && { voice_id: named }) });
showPlayer();
showHistory();
