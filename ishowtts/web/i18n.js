// Languages of the pages. English is written where it is used and is its own key; zh.js holds the Chinese for it.
// In HTML, data-t translates an element's text and data-t-attributes="aria-label title" the attributes it names.

import { zh } from "./zh.js";

const tables = { en: {}, zh };
const english = new WeakMap(); // element → what the page's file says
const listeners = new Set();

function preferred() {
  const chosen =
    new URLSearchParams(location.search).get("language") ?? localStorage.getItem("language") ?? navigator.language;
  return chosen.toLowerCase().startsWith("zh") ? "zh" : "en";
}

let current = preferred();

export const language = () => current;

/** @param {string} text English, with {names} of values @param {Object} values */
export function t(text, values = {}) {
  return (tables[current][text] ?? text).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Puts the words of the current language into everything marked under root. */
export function translate(root = document) {
  document.documentElement.lang = current === "zh" ? "zh-Hans" : "en";
  for (const element of root.querySelectorAll("[data-t], [data-t-attributes]")) {
    const names = element.dataset.tAttributes?.split(" ") ?? [];
    if (!english.has(element)) {
      english.set(element, {
        text: element.textContent.trim().replace(/\s+/g, " "),
        attributes: names.map((name) => element.getAttribute(name)),
      });
    }
    const known = english.get(element);
    if ("t" in element.dataset) element.textContent = t(known.text);
    names.forEach((name, i) => element.setAttribute(name, t(known.attributes[i])));
  }
}

/** Calls back after every change of the language, for words that were made by a program. */
export const onLanguage = (listener) => listeners.add(listener);

/** @param {"en"|"zh"} code remembered for the next visit */
export function setLanguage(code) {
  current = code;
  localStorage.setItem("language", code);
  translate();
  for (const listener of listeners) listener();
}

const number = (value, digits) =>
  value.toLocaleString(current === "zh" ? "zh-CN" : "en-GB", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });

/** A span of time in the unit that suits it, in one piece. @param {number} s seconds */
export const duration = (s) => span(s).replaceAll(" ", "\u00a0");

function span(s) {
  if (s < 1) return t("{n} ms", { n: number(s * 1000, 0) });
  if (s < 60) return t("{n} s", { n: number(s, s < 10 ? 2 : 1) });
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return t("{m} min {s} s", { m: minutes, s: number(s % 60, 0) });
  return t("{h} h {m} min", { h: Math.floor(minutes / 60), m: minutes % 60 });
}

/** @param {number} value bytes */
export function size(value) {
  for (const [limit, unit] of [
    [2 ** 30, "GiB"],
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
  ]) {
    if (value >= limit) return `${number(value / limit, value / limit < 10 ? 1 : 0)} ${unit}`;
  }
  return `${value} B`;
}

export const figure = (value, digits = 0) => number(value, digits);

/** @param {number} milliseconds since the epoch */
export const clock = (milliseconds) =>
  new Date(milliseconds).toLocaleTimeString(current === "zh" ? "zh-CN" : "en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
