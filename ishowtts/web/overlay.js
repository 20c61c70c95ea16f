// The overlay for OBS: transparent, and it needs no clicks. Its settings come from its address (settings.js), its audio
// from the event stream that all listeners share.

import { explain } from "./api.js";
import { Captions, saysName } from "./captions.js";
import { $, el, tell } from "./dom.js";
import { t, translate } from "./i18n.js";
import { Feed, Speaker, amountOf } from "./live.js";
import { Sample } from "./sample.js";
import { readSettings } from "./settings.js";

// families that CSS knows without quotes
const GENERIC = ["serif", "sans-serif", "monospace", "cursive", "fantasy", "system-ui"];
const FAULT_SECONDS = 20; // viewers should not see a message about settings for long

const address = new URLSearchParams(location.search);
const { settings, faults } = readSettings(address);
const preview = address.get("preview") === "1"; // on the chat page: a sample message, no sound, no connection
const shown = new Set(settings.show.split(","));
const feed = new Feed();
const speaker = preview ? new Sample() : new Speaker(feed, { muted: settings.volume === 0, volume: settings.volume });
const captions = new Captions($("words"), speaker, { named: shown.has("name") });
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
  const others = detail.merged?.length
    ? t("{name} and {n} more", { name: detail.user, n: detail.merged.length })
    : detail.user;
  const name = shown.has("words") && saysName(detail) ? "" : others; // once is enough
  $("who").replaceChildren(name, ...(amount ? [name && " ", el("span", { class: "amount" }, amount)] : []));
  $("who").hidden = !shown.has("name") || !(name || amount);
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
  if (shown.has("queue")) tell($("queue"), n ? t("{n} waiting", { n }) : "");
  if (shown.has("state")) tell($("state"), paused ? t("Paused") : "");
});

feed.on("connection", ({ state, error }) => {
  if (state === "failed") complain([...faults, error.missing ? t("This server has no live chat.") : explain(error)]);
  if (shown.has("state")) tell($("state"), state === "open" ? "" : t("Connecting…"));
});

/** OBS plays sound at once; a browser may require a click first. */
function askForSound() {
  if (preview || settings.volume === 0 || window.obsstudio) return;
  const probe = new AudioContext();
  $("blocked").hidden = probe.state !== "suspended";
  probe.onstatechange = () => ($("blocked").hidden = probe.state !== "suspended");
  $("blocked").addEventListener("click", () => {
    probe.onstatechange = null;
    probe.close();
    $("blocked").hidden = true;
    speaker.unblock();
  });
}

translate();
dress();
complain(faults);
if (preview) {
  if (shown.has("queue")) tell($("queue"), t("{n} waiting", { n: 3 }));
  speaker.play();
} else {
  askForSound();
  feed.open();
}
