// How the text of the speak page is read, step by step, and the words that the user wants read otherwise.

import { askJson, explain } from "./api.js";
import { $, clearFields, el, icon, tell, tellField, toast } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { hearButton, languageName } from "./picker.js";

const WAIT = 400; // milliseconds without a key before the server is asked
const LANGUAGES = ["en", "de", "zh"];
const WHY = {
  script: () => t("a script that the voice does not read"),
  emoji: () => t("no sound"),
  emoticon: () => t("no sound"),
  markup: () => t("markup"),
};

// ---- how it is read ----

function row(name, ...content) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, ...content));
}

/** A token with how it is said under it, where that is otherwise. */
function token({ written, kind, spoken }) {
  const same = spoken === written;
  return el(
    "ruby",
    { title: kind, class: spoken ? null : "soft" },
    written,
    same ? null : el("rt", {}, spoken || "–"),
  );
}

function shown(steps) {
  const tokens = steps.tokens.flatMap((one) => [token(one), " "]);
  const dropped = steps.dropped.map(({ text, why }) => el("li", {}, `${text} – ${WHY[why]?.() ?? why}`));
  return el(
    "dl",
    { class: "steps" },
    row(t("Language"), languageName(steps.language)),
    row(t("Parts"), ...tokens),
    row(t("Words"), steps.words.map((word) => word.text).join(" ") || "–"),
    row(t("Sounds"), el("code", {}, steps.symbols.join(steps.symbols_are === "phones" ? " " : "|") || "–")),
    dropped.length ? row(t("Left out"), el("ul", {}, ...dropped)) : null,
  );
}

/** Shows how a request would be read, while the section is open. @param {() => Object} requestOf */
export function showReading(requestOf) {
  let timer = 0;
  let asked = 0;
  const look = async () => {
    if (!$("reading").open) return;
    const { text, voice_id } = requestOf();
    const mine = ++asked;
    if (!text.trim()) return $("steps-shown").replaceChildren();
    try {
      const steps = await askJson("/api/reading", { method: "POST", json: { text, voice_id: voice_id || null } });
      if (mine !== asked) return;
      tell($("reading-error"), "");
      $("steps-shown").replaceChildren(shown(steps));
    } catch (error) {
      if (mine === asked) tell($("reading-error"), explain(error));
    }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  };
  $("reading").addEventListener("toggle", look);
  addEventListener("lexicon", look);
  onLanguage(look);
  return soon;
}

// ---- pronunciations ----

/** The list and form of words. @param {() => string} voice id of the one that is chosen on the page */
export function showLexicon(voice) {
  const changed = () => list().then(() => dispatchEvent(new Event("lexicon")));
  const speaks = (text) => () => ({ text, voice_id: voice() || null });
  const remove = async (entry) => {
    try {
      await askJson(`/api/lexicon/${entry.id}`, { method: "DELETE" });
      await changed();
    } catch (error) {
      toast(explain(error), "bad");
    }
  };
  const item = (entry) =>
    el(
      "li",
      {},
      hearButton(speaks(entry.word), t("Hear it"), entry.word),
      el(
        "div",
        { class: "grow" },
        el("p", {}, `${entry.word} → ${entry.said}`),
        entry.language && el("p", { class: "soft" }, languageName(entry.language)),
      ),
      el(
        "button",
        {
          type: "button",
          class: "quiet",
          title: t("Delete"),
          "aria-label": `${t("Delete")}: ${entry.word}`,
          onclick: () => remove(entry),
        },
        icon("trash"),
      ),
    );
  async function list() {
    if (!$("lexicon").open) return;
    try {
      $("entries").replaceChildren(...(await askJson("/api/lexicon")).map(item));
    } catch (error) {
      toast(explain(error), "bad");
    }
  }
  /** The word of the form as it would be said, before it is kept. */
  const tried = () => {
    const [word, said] = [$("entry-word").value.trim(), $("entry-said").value.trim()];
    const sounds = /^(\/.+\/|\{.+\})$/.test(said);
    return { text: sounds ? `[${word || "…"}](${said})` : said || word, markup: sounds, voice_id: voice() || null };
  };
  const hear = () => {
    $("entry-actions").querySelector(".preview")?.remove();
    $("entry-actions").append(hearButton(tried, t("Hear it"), "", true));
  };
  const names = () => {
    const chosen = $("entry-language").value;
    $("entry-language").replaceChildren(
      new Option(t("All languages"), ""),
      ...LANGUAGES.map((tag) => new Option(languageName(tag), tag, false, tag === chosen)),
    );
  };
  $("entry").addEventListener("submit", async (event) => {
    event.preventDefault();
    clearFields($("entry"));
    const entry = {
      word: $("entry-word").value,
      said: $("entry-said").value,
      language: $("entry-language").value || null,
    };
    try {
      await askJson("/api/lexicon", { method: "POST", json: entry });
      $("entry").reset();
      await changed();
    } catch (error) {
      if (!tellField($("entry"), error.field, explain(error))) toast(explain(error), "bad");
    }
  });
  $("lexicon").addEventListener("toggle", list);
  onLanguage(() => {
    names();
    hear();
    list();
  });
  names();
  hear();
}
