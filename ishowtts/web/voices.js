// The voices page: every voice with a spoken preview and its reference clip; an editor that records or takes a file.
// What the model or the voice does not allow is not offered.

import { ask, askJson, explain } from "./api.js";
import { $, clearFields, confirmed, el, icon, tell, tellField, toast } from "./dom.js";
import { duration, figure, language, onLanguage, t } from "./i18n.js";
import { fillLanguages, found, languageName, previewButton } from "./picker.js";
import { Recorder } from "./recorder.js";
import { isServing, shell, watchHealth } from "./shell.js";
import { decode } from "./wav.js";

const SECONDS_MAX = 30; // of a reference, as on the server
const RATE = 24000; // at which a file is looked at here
const SUGGESTED = {
  en: "The lamp on the corner was already lit when I walked home, and a quiet rain had washed the whole street clean.",
  zh: "我走回家的时候，街角的灯已经亮了，一场安静的小雨把整条街洗得干干净净。",
};

let voices = [];
let ready = false;
let cloning = false; // the model can speak in a voice of a clip
let needsText = false; // a clip must come with its words
let edited = null; // the voice whose reference is replaced, null: a new one
let recording = null; // Recorder
let sound = null; // Blob that will be sent

// ---- the list ----

async function listen(voice, place) {
  try {
    const blob = await (await ask(voice.sample_url)).blob();
    const player = el("audio", {
      controls: true,
      "aria-label": t("Reference clip of {name}", { name: voice.id }),
      src: URL.createObjectURL(blob),
    });
    place.replaceChildren(player);
    await player.play().catch(() => {}); // the element's own button is there
    player.focus();
  } catch (error) {
    toast(missing(error), "bad");
  }
}

const path = (voice, rest = "") => `/api/voices/${encodeURIComponent(voice.id)}${rest}`;
const missing = (error) => (error.missing ? t("This server cannot store voices.") : explain(error));

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
  const button = (drawing, name, work, attributes = {}) =>
    el(
      "button",
      { type: "button", class: "quiet", "aria-label": `${name}: ${voice.id}`, onclick: work, ...attributes },
      drawing && icon(drawing),
      name,
    );
  const revert = () =>
    change(
      t("Go back to the original clip of {name}?", { name: voice.id }),
      t("Revert"),
      "DELETE",
      path(voice, "/reference"),
      t("{name} uses its original clip again.", { name: voice.id }),
    );
  const remove = () =>
    change(
      t("Delete the voice {name}?", { name: voice.id }),
      t("Delete"),
      "DELETE",
      path(voice),
      t("{name} deleted.", { name: voice.id }),
    );
  return el(
    "article",
    { class: "card voice", "data-voice": voice.id },
    el(
      "div",
      { class: "caption" },
      el("h2", {}, voice.id),
      el(
        "span",
        {},
        voice.language && el("span", { class: "badge" }, languageName(voice.language)),
        " ",
        voice.has_override && el("span", { class: "badge warn" }, t("replaced")),
      ),
    ),
    el("p", { class: "soft" }, [voice.engine_label, voice.configured ? t("built in") : t("your own")].join(" · ")),
    voice.reference_text && el("p", { class: "clamp" }, `“${voice.reference_text}”`),
    place,
    el(
      "div",
      { class: "row tools" },
      previewButton(voice, true),
      voice.sample_url && button("play", t("Reference clip"), () => listen(voice, place)),
      el(
        "a",
        {
          class: "button quiet",
          href: `/?voice=${encodeURIComponent(voice.id)}`,
          "aria-label": `${t("Use")}: ${voice.id}`,
        },
        t("Use"),
      ),
      cloning && button("record", t("Replace"), () => open(voice)),
      voice.has_override && button("replay", t("Revert"), revert),
      !voice.configured && button("trash", t("Delete"), remove),
    ),
  );
}

function show() {
  const shown = found(voices, $("search").value, $("only").value);
  $("list").replaceChildren(...shown.map(card));
  $("none").hidden = shown.length > 0 || !voices.length;
  $("finder").hidden = voices.length < 2;
  $("create").hidden = !cloning;
  $("fixed").hidden = cloning || !ready;
}

async function load() {
  try {
    voices = await askJson("/api/voices");
    tell($("fault"), "");
    fillLanguages($("only"), voices);
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
  $("editor-title").textContent = edited ? t("Replace the clip of {name}", { name: edited.id }) : t("New voice");
}

/** What can be said about the sound before the server looks at it. */
function hint(clip) {
  const top = clip.tops.reduce((most, value) => Math.max(most, value), 0);
  const level = top ? `${figure(20 * Math.log10(top), 1)} dB` : t("silent");
  const words = [t("{time}, peak {level}.", { time: duration(clip.seconds), level })];
  if (clip.seconds < 1 || clip.seconds > SECONDS_MAX)
    words.push(t("The clip must be 1 to {max} seconds long.", { max: SECONDS_MAX }));
  if (top >= 0.999) words.push(t("Too loud: the clip is distorted. Move away from the microphone."));
  else if (top < 0.05) words.push(t("Very quiet: move closer to the microphone."));
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
  $("words").value = needsText ? (voice?.reference_text ?? "") : "";
  $("words-field").hidden = $("with-text").hidden = !needsText;
  $("clip-alone").hidden = needsText;
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
    toast(edited ? t("{name} has a new clip.", { name }) : t("{name} is ready.", { name }));
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
  if (!isServing(health)) ready = false;
  else if (!ready) {
    ready = true;
    cloning = Boolean(health.cloning);
    needsText = Boolean(health.clip_needs_text);
    load();
  }
});
$("create").addEventListener("click", () => open(null));
$("search").addEventListener("input", show);
$("only").addEventListener("change", show);
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
  fillLanguages($("only"), voices);
  show();
  showTitle();
  showRecord();
});
shell();
