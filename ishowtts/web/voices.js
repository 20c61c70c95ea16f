// The voices page: every voice with its reference; an editor that records or takes a file.

import { ask, askJson, explain } from "./api.js";
import { $, clearFields, confirmed, el, icon, tell, tellField, toast } from "./dom.js";
import { duration, figure, language, onLanguage, t } from "./i18n.js";
import { Recorder } from "./recorder.js";
import { shell, watchHealth } from "./shell.js";
import { decode } from "./wav.js";

const SECONDS_MAX = 30; // of a reference, as on the server
const RATE = 24000; // at which a file is looked at here
const SUGGESTED = {
  en: "The lamp on the corner was already lit when I walked home, and a quiet rain had washed the whole street clean.",
  zh: "我走回家的时候，街角的灯已经亮了，一场安静的小雨把整条街洗得干干净净。",
};

let voices = [];
let ready = false;
let edited = null; // the voice whose reference is replaced, null: a new one
let recording = null; // Recorder
let sound = null; // Blob that will be sent

// ---- the list ----

async function listen(voice, place) {
  try {
    const blob = await (await ask(voice.sample_url)).blob();
    const player = el("audio", { controls: true, "aria-label": t("Reference of {name}", { name: voice.id }), src: URL.createObjectURL(blob) });
    place.replaceChildren(player);
    await player.play().catch(() => {}); // the element's own button is there
    player.focus();
  } catch (error) {
    toast(missing(error), "bad");
  }
}

const path = (voice, rest = "") => `/api/voices/${encodeURIComponent(voice.id)}${rest}`;
const missing = (error) => (error.missing ? t("This server does not keep voices.") : explain(error));

async function change(question, yes, method, address, done) {
  if (!(await confirmed(question, yes))) return;
  try {
    await ask(address, { method });
    toast(done);
    await load();
  } catch (error) {
    toast(missing(error), "bad");
  }
}

function card(voice) {
  const place = el("div", {});
  const button = (drawing, name, work, attributes = {}) => el("button", { type: "button", class: "quiet", "aria-label": `${name}: ${voice.id}`, onclick: work, ...attributes }, drawing && icon(drawing), name);
  return el("article", { class: "card voice", "data-voice": voice.id },
    el("div", { class: "caption" }, el("h3", {}, voice.id),
      el("span", {}, voice.language && el("span", { class: "badge" }, voice.language), " ", voice.has_override && el("span", { class: "badge warn" }, t("replaced")))),
    el("p", { class: "soft" }, voice.engine_label),
    voice.reference_text && el("p", { class: "clamp" }, `“${voice.reference_text}”`),
    place,
    el("div", { class: "row tools" },
      voice.sample_url && button("play", t("Listen"), () => listen(voice, place)),
      el("a", { class: "button quiet", href: `/?voice=${encodeURIComponent(voice.id)}`, "aria-label": `${t("Speak")}: ${voice.id}` }, t("Speak")),
      button("record", t("Replace"), () => open(voice)),
      voice.has_override && button("replay", t("Revert"), () => change(t("Go back to the first reference of {name}?", { name: voice.id }), t("Revert"), "DELETE", path(voice, "/reference"), t("{name} sounds as before.", { name: voice.id }))),
      button("trash", t("Delete"), () => change(t("Delete the voice {name}?", { name: voice.id }), t("Delete"), "DELETE", path(voice), t("{name} is deleted.", { name: voice.id })))));
}

const show = () => $("list").replaceChildren(...voices.map(card));

async function load() {
  try {
    voices = await askJson("/api/voices");
    tell($("fault"), "");
    show();
  } catch (error) {
    tell($("fault"), explain(error));
    ready = false;
  } finally {
    $("list").setAttribute("aria-busy", "false");
  }
}

// ---- the editor ----

function showRecord() {
  $("record").replaceChildren(icon(recording ? "stop" : "record"), recording ? t("Stop") : t("Record"));
  $("record").setAttribute("aria-pressed", String(Boolean(recording)));
  $("meter").hidden = !recording;
}

function showTitle() {
  $("editor-title").textContent = edited ? t("Replace the reference of {name}", { name: edited.id }) : t("New voice");
}

/** What can be said about the sound before the server looks at it. */
function hint(clip) {
  const top = clip.tops.reduce((most, value) => Math.max(most, value), 0);
  const level = top ? `${figure(20 * Math.log10(top), 1)} dB` : t("silent");
  const words = [t("{time}, loudest at {level}.", { time: duration(clip.seconds), level })];
  if (clip.seconds < 1 || clip.seconds > SECONDS_MAX) words.push(t("It must have 1 to {max} seconds.", { max: SECONDS_MAX }));
  if (top >= 0.999) words.push(t("It is too loud and clips: go further from the microphone."));
  else if (top < 0.05) words.push(t("It is very quiet: come closer to the microphone."));
  $("hints").textContent = words.join(" ");
}

function take(blob) {
  sound = blob;
  const preview = $("preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.hidden = !blob;
  if (blob) preview.src = URL.createObjectURL(blob);
  else preview.removeAttribute("src");
}

async function record() {
  if (recording) return stopRecording();
  clearFields($("form"));
  take(null);
  $("audio").value = "";
  $("hints").textContent = "";
  const mine = new Recorder((clip, peak) => {
    $("record-time").textContent = t("{at} of {all}", { at: duration(clip.seconds), all: duration(SECONDS_MAX) });
    $("meter").firstElementChild.style.transform = `scaleX(${Math.min(1, peak)})`;
    $("meter").setAttribute("aria-valuenow", String(Math.round(Math.min(1, peak) * 100)));
    $("meter").className = peak >= 0.98 ? "meter loud" : peak < 0.05 ? "meter quiet-sound" : "meter";
    if (clip.seconds >= SECONDS_MAX - 0.1) stopRecording();
  });
  try {
    await mine.start();
    recording = mine;
  } catch (error) {
    tellField($("form"), "audio", error.message);
  }
  showRecord();
}

async function stopRecording() {
  const mine = recording;
  if (!mine) return;
  recording = null;
  showRecord();
  const clip = await mine.stop();
  $("record-time").textContent = "";
  if (!clip.samples) return;
  take(clip.wav());
  hint(clip);
}

async function upload() {
  const file = $("audio").files[0] ?? null;
  await stopRecording();
  clearFields($("form"));
  $("hints").textContent = "";
  take(file);
  // A file that this browser cannot decode is for the server to judge.
  if (file) await decode(file, RATE).then(hint, () => {});
}

function open(voice) {
  edited = voice;
  $("form").reset();
  clearFields($("form"));
  tell($("form-fault"), "");
  take(null);
  $("hints").textContent = $("record-time").textContent = "";
  $("new-fields").hidden = Boolean(voice);
  $("words").value = voice?.reference_text ?? "";
  showTitle();
  showRecord();
  $("editor").showModal();
}

async function save() {
  await stopRecording();
  clearFields($("form"));
  tell($("form-fault"), "");
  const form = new FormData();
  const text = $("words").value.trim();
  if (!edited) {
    form.set("id", $("id").value.trim());
    if ($("voice-language").value.trim()) form.set("language", $("voice-language").value.trim());
  }
  if (text) form.set("text", text);
  if (sound) form.set("audio", sound, sound.name ?? "recording.wav");
  $("save").disabled = true;
  try {
    const name = edited?.id ?? form.get("id");
    await ask(edited ? path(edited, "/reference") : "/api/voices", { method: "POST", form });
    $("editor").close();
    toast(edited ? t("{name} has a new reference.", { name }) : t("{name} can be used.", { name }));
    await load();
  } catch (error) {
    const message = missing(error);
    if (!tellField($("form"), error.field, message)) tell($("form-fault"), message);
  } finally {
    $("save").disabled = false;
  }
}

// ---- wiring ----

watchHealth((health) => {
  if (health?.status !== "ready") ready = false;
  else if (!ready) {
    ready = true;
    load();
  }
});
$("create").addEventListener("click", () => open(null));
$("record").addEventListener("click", record);
$("audio").addEventListener("change", upload);
$("suggest").addEventListener("click", () => {
  $("words").value = SUGGESTED[language()];
  $("words").focus();
});
$("cancel").addEventListener("click", () => $("editor").close());
$("editor").addEventListener("close", stopRecording);
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
onLanguage(() => {
  show();
  showTitle();
  showRecord();
});
shell();
