/**
 * The other relays at which this browser may have a home: a row each, and one press to be there.
 * @module
 */
import { isSignedInAt } from "../account.js";
import { rows } from "../components/rows.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { chooseRelay } from "../relays.js";

/** @param {import("../app.js").Context} context @returns {HTMLElement | null} null: there is one relay */
export function otherHomes({ relays, relayUrl }) {
  const others = relays.filter((one) => one !== relayUrl);
  if (others.length === 0) return null;
  const go = (/** @type {string} */ relay) => {
    chooseRelay(relays, relay);
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
  );
}
