// A request of the speak page that outlives the page: the draft, named presets, and a link that carries it.

const DRAFT = "speak.draft";
const PRESETS = "speak.presets";
const NUMBERS = ["speed", "nfe_step", "guidance_from", "guidance_to", "sample_rate"];
const WORDS = ["text", "voice_id", "solver", "seed", "format"];

const read = (key, otherwise) => {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
};

/** What was in the form when the page was left, null: nothing. */
export const draft = () => read(DRAFT, null);
export const keepDraft = (request) => localStorage.setItem(DRAFT, JSON.stringify(request));

/** @returns {Object<string, Object>} name → request without its text */
export const presets = () => read(PRESETS, {});

export function keepPreset(name, { text, ...settings }) {
  localStorage.setItem(PRESETS, JSON.stringify({ ...presets(), [name]: settings }));
}

export function forgetPreset(name) {
  const { [name]: gone, ...rest } = presets();
  localStorage.setItem(PRESETS, JSON.stringify(rest));
}

/** An address of the speak page with the request behind `#`, which browsers send to no server. */
export function linkOf(request) {
  const address = new URL("/", location.href);
  address.hash = new URLSearchParams(request).toString();
  return address.href;
}

/** The request in an address's `#…`, null when there is none. Unknown names and values that are no numbers are left
 *  out. */
export function requestIn(hash) {
  const given = new URLSearchParams(hash.slice(1));
  const request = {};
  for (const name of WORDS) if (given.get(name)) request[name] = given.get(name);
  for (const name of NUMBERS)
    if (given.get(name) && Number.isFinite(Number(given.get(name)))) request[name] = Number(given.get(name));
  if (given.has("short_guidance")) request.short_guidance = given.get("short_guidance") === "true";
  return Object.keys(request).length ? request : null;
}
