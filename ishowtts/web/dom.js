// Small helpers of the pages: finding and making elements, and telling people what happened.

import { t } from "./i18n.js";

export const $ = (id) => document.getElementById(id);

/** An element: el("button", {type: "button", class: "quiet", onclick: f, "aria-label": "Play"}, "▶"). Falsy children
 *  are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  stop: "M6.5 6.5h11v11h-11z",
  skip: "M6 5.5v13l9-6.5zM16 5.5h2.5v13H16z",
  replay: "M12 5V2L7 6.5 12 11V8a4.9 4.9 0 1 1-4.9 5H4.5A7.5 7.5 0 1 0 12 5z",
  download: "M11 4h2v8h3.2L12 16.4 7.8 12H11zM5 18h14v2H5z",
  trash: "M9 4h6l1 1.5h4V7.500H4V5.500h4zM5.800 9h12.400l-.9 11.500H6.700z",
  again: "M4 17.200V20h2.800L16.600 10.200l-2.800-2.800zM19 7.800l-2.800-2.800-1.500 1.500 2.800 2.800z",
  record: "M12 6a6 6 0 1 0 .01 0z",
  mute:
    "M4 9.5v5h3.5l4.5 4v-13l-4.5 4zM15 9.9l1.1-1.1 2 2 2-2 1.1 1.1-2 2 2 2-1.1 1.1-2-2-2 2-1.1-1.1 2-2z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  sound: "M4 9.500v5h3.500l4.500 4v-13l-4.500 4zM14.500 8.500a5 5 0 0 1 0 7M16.800 6a8.500 8.500 0 0 1 0 12",
};

/** A drawing for a button; says nothing to a screen reader, so the button needs a name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }))
    svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Says something once; good news goes away by itself, bad news waits for a click. @param {"good"|"bad"} kind */
export function toast(message, kind = "good") {
  const box = el("div", { class: `toast ${kind}`, role: kind === "bad" ? "alert" : "status" }, el("span", {}, message));
  box.append(
    el("button", { type: "button", class: "quiet", "aria-label": t("Close"), onclick: () => box.remove() }, "×"),
  );
  $("toasts").append(box);
  if (kind === "good") setTimeout(() => box.remove(), 6000);
  while ($("toasts").childElementCount > 4) $("toasts").firstElementChild.remove();
}

/** Shows a message in an element with role="alert", or hides it. */
export function tell(element, message) {
  element.textContent = message;
  element.hidden = !message;
}

/** Puts an error at the form field that it names, so that it is read with the field. @returns {boolean} whether
 *  there is one */
export function tellField(form, field, message) {
  const input = field && form.querySelector(`[name="${CSS.escape(field)}"]`);
  const place = input && form.querySelector(`[data-error="${CSS.escape(field)}"]`);
  if (!place) return false;
  tell(place, message);
  input.setAttribute("aria-invalid", String(Boolean(message)));
  if (message) input.focus();
  return true;
}

export function clearFields(form) {
  for (const place of form.querySelectorAll("[data-error]")) tellField(form, place.dataset.error, "");
}

/** A dialog with a yes and a no. */
export function confirmed(question, yes) {
  return new Promise((done) => {
    const dialog = el("dialog", { class: "confirm", "aria-label": question }, el("p", {}, question));
    const close = () => dialog.close();
    const no = el("button", { type: "button", onclick: close }, t("Cancel"));
    const go = el("button", { type: "button", class: "danger", value: "yes", onclick: () => dialog.close("yes") }, yes);
    dialog.append(el("div", { class: "row end" }, no, go));
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}

/** A dialog with one line of text. @returns {Promise<string>} what was written, trimmed; "" when it was closed */
export function asked(question, value = "") {
  const input = el("input", {
    id: "answer",
    value,
    maxlength: value.length > 60 ? null : 60,
    autocomplete: "off",
    required: true,
  });
  const no = el("button", { type: "button" }, t("Cancel"));
  const form = el(
    "form",
    { method: "dialog" },
    el("label", { for: "answer" }, question),
    input,
    el("div", { class: "row end" }, no, el("button", { type: "submit", class: "primary", value: "yes" }, t("OK"))),
  );
  const dialog = el("dialog", { class: "confirm", "aria-label": question }, form);
  no.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  input.select();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue === "yes" ? input.value.trim() : "");
    });
  });
}

/** Without TLS on another machine there is no clipboard API. @returns {Promise<boolean>} whether it worked */
export const copyText = async (text) =>
  Boolean(
    await navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    ),
  );
