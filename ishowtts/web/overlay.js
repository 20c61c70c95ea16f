// The overlay for OBS: transparent, no hands needed. Its settings come from its address (settings.js), its audio from the feed that all share.

import { explain } from "./api.js";
import { Captions } from "./captions.js";
import { $, el, tell } from "./dom.js";
import { t, translate } from "./i18n.js";
import { Feed, Speaker, amountOf } from "./live.js";
import { readSettings } from "./settings.js";

const GENERIC = ["serif", "sans-serif", "monospace", "cursive", "fantasy", "system-ui"]; // families that CSS knows without quotes
const FAULT_SECONDS = 20; // a stream should not show a sentence about settings for long

const { settings, faults } = readSettings(new URLSearchParams(location.search));
const shown = new Set(settings.show.split(","));
const feed = new Feed();
const speaker = new Speaker(feed, { muted: settings.volume === 0, volume: settings.volume });
const captions = new Captions($("words"), speaker);
let leaving = 0;
let faultTimer = 0;

function dress() {
  const root = document.documentElement;
  root.dataset.position = settings.position;
  root.dataset.align = settings.align;
  root.style.setProperty("--size", `${settings.size}px`);
  for (const name of ["lines", "color", "accent", "back"]) root.style.setProperty(`--${name}`, String(settings[name]));
  const font = settings.font.replace(/["\\]/g, "");
  if (font) root.style.setProperty("--font", `${GENERIC.includes(font) ? font : `"${font}"`}, system-ui, sans-serif`);
  $("who").hidden = !shown.has("name");
  $("words").hidden = !shown.has("words");
}

function complain(messages) {
  clearTimeout(faultTimer);
  tell($("faults"), messages.join("\n"));
  if (messages.length) faultTimer = setTimeout(() => tell($("faults"), ""), FAULT_SECONDS * 1000);
}

speaker.addEventListener("begin", ({ detail }) => {
  clearTimeout(leaving);
  const amount = amountOf(detail);
  $("who").replaceChildren(detail.user, ...(amount ? [" ", el("span", { class: "amount" }, amount)] : []));
  $("clip").classList.remove("leaving");
  $("clip").hidden = !shown.has("name") && !shown.has("words");
});

speaker.addEventListener("over", () => {
  clearTimeout(leaving);
  leaving = setTimeout(() => {
    $("clip").classList.add("leaving");
    leaving = setTimeout(() => {
      $("clip").hidden = true;
      captions.clear();
    }, 350);
  }, settings.hide * 1000);
});

feed.on("state", ({ queue, paused }) => {
  if (!queue) return;
  const n = Object.values(queue).reduce((sum, value) => sum + value, 0);
  if (shown.has("queue")) tell($("queue"), n ? t("Waiting: {n}", { n }) : "");
  if (shown.has("state")) tell($("state"), paused ? t("Paused") : "");
});

feed.on("connection", ({ state, error }) => {
  if (state === "failed") complain([...faults, error.missing ? t("This server has no live chat.") : explain(error)]);
  if (shown.has("state")) tell($("state"), state === "open" ? "" : t("Connecting …"));
});

translate();
dress();
complain(faults);
feed.open();
