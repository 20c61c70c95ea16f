// Why a message was not read, as people say it.

import { t } from "./i18n.js";

const REASONS = {
  platform: () => t("platform not listed"),
  channel: () => t("channel not listed"),
  duplicate: () => t("duplicate"),
  blocklist: () => t("blocked user"),
  muted: () => t("muted viewer"),
  bot: () => t("bot"),
  role: () => t("viewer's role not listed"),
  kind: () => t("events are off"),
  command: () => t("command"),
  banned_word: () => t("banned word"),
  link: () => t("only a link"),
  emote: () => t("only emotes"),
  empty: () => t("no words"),
  length: () => t("too long"),
  language: () => t("language not listed"),
  flood: () => t("flooding"),
  repeat: () => t("repeated message"),
  cooldown: () => t("cooldown"),
  rate: () => t("chat too fast"),
  full: () => t("queue full"),
  expired: () => t("waited too long"),
  clear: () => t("cleared"),
  rejected: () => t("not approved"),
  unspeakable: () => t("cannot be pronounced"),
  failure: () => t("speech failed"),
  storage: () => t("could not be stored"),
  interruption: () => t("server stopped"),
};

/** @param {string} reason as the server names it */
export const reasonText = (reason) => REASONS[reason]?.() ?? reason;
