// The overlay's settings, which live in its address: what there is, what is allowed, what it is when nothing is said.

import { language, t } from "./i18n.js";

const within = (min, max) => ({ min, max });
export const SETTINGS = {
  font: { value: "", text: 80 },
  size: { value: 36, ...within(10, 200) },
  lines: { value: 2, ...within(1, 10) },
  hide: { value: 4, ...within(0, 600) },
  volume: { value: 1, ...within(0, 1) },
  position: { value: "bottom", options: ["top", "middle", "bottom"] },
  align: { value: "center", options: ["left", "center", "right"] },
  color: { value: "#ffffff", colour: true },
  accent: { value: "#ffd54a", colour: true },
  back: { value: 0.45, ...within(0, 1) },
  language: { value: "", options: ["", "en", "zh"] },
  show: { value: "name,words", list: ["name", "words", "queue", "state"] },
};
const OTHERS = ["key", "preview"];

/** @param {URLSearchParams} given @returns {{settings: Object, faults: string[]}} each fault names the setting, the
 *  limit and the value */
export function readSettings(given) {
  const settings = {};
  const faults = [];
  for (const [name, rule] of Object.entries(SETTINGS)) {
    const text = given.get(name);
    settings[name] = rule.value;
    if (text === null) continue;
    const value = typeof rule.value === "number" ? Number(text || NaN) : text;
    if (rule.min !== undefined && !(value >= rule.min && value <= rule.max))
      faults.push(
        t("{name} must be between {min} and {max}, not {text}.", { name, min: rule.min, max: rule.max, text }),
      );
    else if (rule.options && !rule.options.includes(value))
      faults.push(
        t("{name} must be one of {options}, not {text}.", {
          name,
          options: rule.options.filter(Boolean).join(", "),
          text,
        }),
      );
    else if (rule.list && !value.split(",").every((item) => rule.list.includes(item)))
      faults.push(t("{name} must be a list of {options}, not {text}.", { name, options: rule.list.join(", "), text }));
    else if (rule.colour && !/^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(value))
      faults.push(t("{name} must be a color such as #ffd54a, not {text}.", { name, text }));
    else if (rule.text && value.length > rule.text)
      faults.push(t("{name} can have up to {max} characters, not {n}.", { name, max: rule.text, n: value.length }));
    else settings[name] = value;
  }
  for (const name of given.keys()) {
    if (!(name in SETTINGS) && !OTHERS.includes(name)) faults.push(t("Unknown setting: {name}.", { name }));
  }
  return { settings, faults };
}

/** An address with those settings that differ from the defaults. */
export function overlayAddress(settings, key) {
  const address = new URL("/overlay", location.href);
  for (const [name, rule] of Object.entries(SETTINGS)) {
    const value = String(settings[name] ?? rule.value);
    if (value !== String(rule.value)) address.searchParams.set(name, value);
  }
  if (key) address.searchParams.set("key", key);
  return address.href;
}

/** The same overlay with a sample message in place of the chat, without sound. @param {string} address as
 *  overlayAddress gives it */
export function previewAddress(address) {
  const preview = new URL(address);
  preview.searchParams.set("preview", "1");
  preview.searchParams.delete("key");
  if (!preview.searchParams.has("language")) preview.searchParams.set("language", language());
  return preview.href;
}
