// The chat page's platforms: connections with their states, and the form that makes one.

import { $, el } from "./dom.js";
import { onLanguage, t } from "./i18n.js";

const STATES = {
  connecting: ["warn", () => t("connecting")],
  live: ["good", () => t("connected")],
  waiting: ["warn", () => t("reconnecting")],
  ended: ["", () => t("ended")],
  failed: ["bad", () => t("failed")],
};

const BRANDS = { twitch: "Twitch", bilibili: "Bilibili", youtube: "YouTube" };

/** A platform as it writes itself. */
export const platformName = (id) => BRANDS[id] ?? id;

/** Where a message came from. */
export const placeOf = ({ platform, channel }) =>
  platform === "manual" ? t("sent by hand") : channel && `${platformName(platform)} · ${channel}`;

/** The state of a connection as a badge. */
export function stateBadge({ state }) {
  const [kind, name] = STATES[state] ?? ["", () => state];
  return el("span", { class: `badge ${kind}` }, name());
}

/** The connections and their states. @param {Object[]} sources @param {(source: Object) => void} disconnect */
export function showSources(sources, disconnect) {
  $("sources").replaceChildren(
    ...sources.map((source) => {
      const name = platformName(source.platform);
      return el(
        "li",
        {},
        el(
          "div",
          { class: "grow" },
          el("p", {}, `${name} · ${source.channel} `, stateBadge(source)),
          source.text && el("p", { class: "soft" }, source.text),
        ),
        el(
          "button",
          {
            type: "button",
            class: "quiet",
            "aria-label": t("Disconnect {name}", { name: `${name} ${source.channel}` }),
            onclick: () => disconnect(source),
          },
          t("Disconnect"),
        ),
      );
    }),
  );
  $("sources-empty").hidden = sources.length > 0;
}

const PLATFORMS = {
  twitch: {
    channel: () => t("Channel name"),
    token: () => t("OAuth token"),
    login: () => t("Login name"),
    title: () => t("Sign in (optional)"),
    hint: () => t(
      "Public chat needs no sign-in. To sign in: an OAuth token with the scope user:read:chat, and its login.",
    ),
  },
  bilibili: {
    channel: () => t("Room number"),
    token: () => t("SESSDATA cookie"),
    login: () => t("UID"),
    title: () => t("Sign in (optional)"),
    hint: () =>
      t(
        "Without signing in, names are masked. SESSDATA is a cookie of bilibili.com; your profile shows the UID.",
      ),
  },
  youtube: {
    channel: () => t("Video, address or @handle"),
    token: () => t("API key"),
    login: null,
    title: () => t("API key (kept after the first time)"),
    hint: () => t("A key for the YouTube Data API v3, made in the Google Cloud console."),
  },
};

function showPlatform() {
  const about = PLATFORMS[$("platform").value];
  const needed = !about.login;
  $("channel-label").textContent = about.channel();
  $("token-label").textContent = about.token();
  $("login-label").textContent = about.login?.() ?? "";
  $("login-field").hidden = $("account-kept").hidden = needed; // a key is kept, a login is not
  $("account-title").textContent = about.title();
  $("account-hint").textContent = about.hint();
  if (needed) $("account").open = true;
}

/** Begins to work with the form. @param {Function} submit sends a form @param {() => void} refresh reads the
 *  connections again */
export function platformForm(submit, refresh) {
  $("platform").addEventListener("change", showPlatform);
  $("connect").addEventListener("submit", async (event) => {
    event.preventDefault();
    const source = { platform: $("platform").value, channel: $("channel").value.trim() };
    if ($("token").value.trim()) source.token = $("token").value.trim();
    if ($("login").value.trim() && !$("login-field").hidden) source.login = $("login").value.trim();
    const answer = await submit($("connect"), $("connect-fault"), "/api/danmaku/start", source);
    if (answer === undefined) return;
    for (const name of ["channel", "token", "login"]) $(name).value = "";
    refresh();
  });
  onLanguage(showPlatform);
  showPlatform();
}
