/**
 * The page of an app that can't start: what is in the way, and the other relays that there are.
 * @module
 */
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { RelayUnreachable, UnknownRelay } from "../relays.js";
import { otherHomes } from "./other_homes.js";

/**
 * @param {unknown} error @param {string[]} relays that the app may be for, if that could be fetched
 * @param {string} relay the one that was to be opened
 * @returns {(Node | null)[]}
 */
export function noStart(error, relays, relay) {
  if (error instanceof UnknownRelay) {
    const open = () => {
      location.hash = "#/";
      location.reload();
    };
    const actions = h("div", { class: "actions" }, h("button", { class: "primary", id: "open-here", onclick: open }, t("homes.open")));
    return [h("h1", { id: "unknown-relay" }, t("homes.unknown")), h("p", {}, t("homes.unknown_help", { relay: error.relay })), actions];
  }
  const away = error instanceof RelayUnreachable ? error.relay : relay;
  const why = relays.length > 1 ? t("homes.away", { relay: new URL(away).host }) : t("error.no_start_help");
  const again = h("button", { class: "primary", id: "start-again", onclick: () => location.reload() }, t("error.again"));
  return [h("h1", {}, t("error.no_start")), h("p", { id: "no-relay" }, why), h("div", { class: "actions" }, again), otherHomes({ relays, relayUrl: away })];
}
