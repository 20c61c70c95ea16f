// Choosing a voice: names, languages, a search, and a spoken preview of each.

import { ask, explain } from "./api.js";
import { el, icon, toast } from "./dom.js";
import { language, t } from "./i18n.js";

// What a preview says, by the voice's language; English otherwise.
const SENTENCES = {
  de: "Guten Abend und herzlich willkommen im Stream.",
  en: "Good evening, and welcome to the stream.",
  es: "Buenas noches y bienvenidos al directo.",
  fr: "Bonsoir et bienvenue sur le live.",
  ja: "こんばんは、配信へようこそ。",
  zh: "大家晚上好，欢迎来到直播间。",
};
const primary = (tag) => (tag ?? "").split("-")[0].toLowerCase();

/** @param {{language?: string}} [voice] */
export const sampleSentence = (voice) => SENTENCES[primary(voice?.language)] ?? SENTENCES.en;

/** A language's name in the language of the page; the tag itself where the browser does not know it. */
export function languageName(tag) {
  try {
    return new Intl.DisplayNames([language() === "zh" ? "zh-Hans" : "en"], { type: "language" }).of(tag);
  } catch {
    return tag;
  }
}

/** The voices whose name, language or engine has the words, and that speak the language ("": any). */
export function found(voices, words, tag) {
  const wanted = words.trim().toLowerCase().split(/\s+/);
  return voices.filter((voice) => {
    const about = [voice.id, voice.engine_label, voice.language && `${voice.language} ${languageName(voice.language)}`]
      .filter(Boolean)
      .join(" ")
      .toLowerCase();
    return (!tag || voice.language === tag) && wanted.every((word) => about.includes(word));
  });
}

/** Fills a select with the languages of the voices; what was chosen stays. */
export function fillLanguages(select, voices) {
  const tags = [...new Set(voices.map((voice) => voice.language).filter(Boolean))].sort();
  const chosen = select.value;
  select.replaceChildren(
    new Option(t("All languages"), ""),
    ...tags.map((tag) => new Option(languageName(tag), tag, false, tag === chosen)),
  );
}

const audio = new Audio();
let stopped = () => {}; // puts back the button of the preview that plays

/** A button that speaks a request, and stops it. @param {() => Object} requestOf @param {string} name what it does
 *  @param {string} of what it is for @param {boolean} named with its word beside the drawing */
export function hearButton(requestOf, name, of, named = false) {
  const button = el("button", {
    type: "button",
    class: "quiet preview",
    "aria-label": of ? `${name}: ${of}` : name,
    title: name,
  });
  const show = (state) => {
    button.dataset.state = state;
    button.setAttribute("aria-pressed", String(state !== "idle"));
    button.replaceChildren(
      icon(state === "idle" ? "sound" : "stop"),
      ...(named ? [state === "idle" ? name : t("Stop")] : []),
    );
  };
  let running = null;
  const stop = () => {
    running?.abort();
    running = null;
    audio.pause();
    show("idle");
  };
  button.addEventListener("click", async () => {
    if (running) return stop();
    stopped();
    stopped = stop;
    const mine = (running = new AbortController());
    show("waiting");
    try {
      const answer = await ask("/api/tts", {
        method: "POST",
        json: requestOf(),
        headers: { Accept: "audio/wav" },
        signal: mine.signal,
      });
      URL.revokeObjectURL(audio.src);
      audio.src = URL.createObjectURL(await answer.blob());
      audio.onended = stop;
      if (running !== mine) return;
      await audio.play();
      show("playing");
    } catch (error) {
      if (running === mine) stop();
      if (error.name !== "AbortError") toast(explain(error), "bad");
    }
  });
  show("idle");
  return button;
}

/** A button that lets a voice say a sentence. */
export const previewButton = (voice, named = false) =>
  hearButton(() => ({ text: sampleSentence(voice), voice_id: voice.id }), t("Preview"), voice.id, named);

/** The browser's own level for previews. @param {number} level 0 to 1 */
export const setPreviewVolume = (level) => (audio.volume = level);

/** Shows a dialog with the voices. @returns {Promise<string>} the id of the chosen voice, "" for none */
export function chooseVoice(voices, current) {
  const search = el("input", {
    type: "search",
    id: "picker-search",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: t("Search voices"),
    "aria-label": t("Search voices"),
  });
  const select = el("select", { id: "picker-language", "aria-label": t("Language") });
  const list = el("ul", { class: "list", id: "picker-list" });
  const none = el("p", { class: "soft", role: "status" });
  const close = el("button", { type: "button" }, t("Close"));
  const dialog = el(
    "dialog",
    { id: "picker", "aria-labelledby": "picker-title" },
    el("h2", { id: "picker-title" }, t("Choose a voice")),
    el("div", { class: "row finder" }, search, select),
    list,
    none,
    el("div", { class: "row end" }, close),
  );
  fillLanguages(select, voices);
  const show = () => {
    const shown = found(voices, search.value, select.value);
    list.replaceChildren(
      ...shown.map((voice) =>
        el(
          "li",
          { "data-voice": voice.id },
          el(
            "button",
            {
              type: "button",
              class: "quiet grow choose",
              "aria-pressed": String(voice.id === current),
              onclick: () => dialog.close(voice.id),
            },
            el("span", { class: "who" }, voice.id),
            voice.language && el("span", { class: "badge" }, languageName(voice.language)),
          ),
          previewButton(voice),
        ),
      ),
    );
    none.textContent = shown.length ? "" : t("No voice found.");
  };
  search.addEventListener("input", show);
  select.addEventListener("change", show);
  close.addEventListener("click", () => dialog.close(""));
  show();
  document.body.append(dialog);
  dialog.showModal();
  search.focus();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      stopped();
      dialog.remove();
      done(dialog.returnValue);
    });
  });
}
