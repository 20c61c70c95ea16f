// What a moderator decides on the chat page: who is muted, and what is held for approval.

import { $, el, icon } from "./dom.js";
import { t } from "./i18n.js";
import { platformName } from "./platforms.js";

const button = (label, onclick, kind = "quiet") =>
  el("button", { type: "button", class: kind, "aria-label": label.full, title: label.full, onclick }, label.short);

/** Mutes who wrote a message. @param {(verb: string, json: object) => Promise<unknown>} act */
export const muteButton = ({ platform, user, user_id: id }, act) =>
  el(
    "button",
    {
      type: "button",
      class: "quiet",
      title: t("Mute {name}", { name: user }),
      "aria-label": t("Mute {name}", { name: user }),
      onclick: () => act("mute", { platform, user: id || user }),
    },
    icon("mute"),
  );

/** Messages that wait for approval; the card is there when there are any.
 * @param {object[]} held @param {(item: object) => HTMLElement} text
 * @param {(verb: string, json: object) => Promise<unknown>} act */
export function showHeld(held, text, act) {
  $("held").replaceChildren(
    ...held.map((item) =>
      el(
        "li",
        {},
        text(item),
        button({ short: t("Approve"), full: t("Approve: {text}", { text: item.text.slice(0, 60) }) }, () =>
          act("approve", { id: item.id }),
        ),
        button({ short: t("Reject"), full: t("Reject: {text}", { text: item.text.slice(0, 60) }) }, () =>
          act("reject", { id: item.id }),
        ),
        muteButton(item, act),
      ),
    ),
  );
  $("held-card").hidden = !held.length;
  $("held-count").textContent = held.length ? t("Waiting: {n}", { n: held.length }) : "";
  $("approve-all").onclick = () => act("approve");
  $("reject-all").onclick = () => act("reject");
}

/** Who is muted. @param {{platform: string, user: string}[]} muted */
export function showMuted(muted, act) {
  $("muted").replaceChildren(
    ...muted.map(({ platform, user }) =>
      el(
        "li",
        {},
        el("div", { class: "grow" }, el("span", { class: "who" }, user), ` · ${platformName(platform)}`),
        button({ short: t("Unmute"), full: t("Unmute {name}", { name: user }) }, () =>
          act("unmute", { platform, user }),
        ),
      ),
    ),
  );
  $("muted-empty").hidden = muted.length > 0;
}
