/**
 * The other relays at which this browser may have a home: a row each, and one press to be there.
 * @module
 */
import { isSignedInAt } from "../account.js";
import { rows } from "../components/rows.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { chooseOnceAsked } from "../relays.js";

/** @param {{relays: string[], relayUrl: string}} context @returns {HTMLElement | null} null: there is one relay */
export function otherHomes({ relays, relayUrl }) {
  const others = relays.filter((one) => one !== relayUrl);
  if (others.length === 0) return null;
  const said = h("div", { "aria-live": "polite", id: "homes-said" });
  let isAsking = false;
  const go = async (/** @type {string} */ relay) => {
    if (isAsking) return;
    isAsking = true;
    const host = new URL(relay).host;
    fill(said, h("p", { role: "status" }, t("homes.asking", { relay: host })));
    try {
      await chooseOnceAsked(relays, relay);
    } catch (error) {
      console.warn("another home", error);
      isAsking = false;
      return fill(said, h("p", { class: "warning", role: "alert" }, t("homes.no_answer", { relay: host, here: new URL(relayUrl).host })));
    }
    location.hash = "#/";
    location.reload();
  };
  const all = others.map((relay) => ({
    title: new URL(relay).host,
    more: t(isSignedInAt(relay) ? "homes.signed_in" : "homes.signed_out"),
    onclick: () => void go(relay),
  }));
  return h(
    "section",
    { id: "other-homes", "aria-labelledby": "other-homes-title" },
    h("h2", { id: "other-homes-title" }, t("homes.title")),
    h("p", { class: "hint" }, t("homes.what", { relay: new URL(relayUrl).host })),
    rows(all),
    said,
  );
}
