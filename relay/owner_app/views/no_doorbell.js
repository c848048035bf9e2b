/**
 * The notices shown without a doorbell, and after losing one.
 * @module
 */
import { h } from "../dom.js";
import { t, timeWithin } from "../i18n.js";

/** Says of which doorbells one is no longer an owner. @param {import("../household.js").Household} household */
export function formerDoorbells({ gone }) {
  return gone.map(({ device, name, since_ms }) =>
    h("div", { class: "notice", "data-testid": "no-longer-owner", "data-device": device }, h("p", {}, t("door.gone", { door: name, time: timeWithin(since_ms) })), h("p", { class: "muted" }, t("door.gone_help"))),
  );
}

/** Says that there is none, and how to come to one. */
export function noDoorbell() {
  return [
    h("p", { class: "lead" }, t("door.none")),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: "#/start" }, t("door.add"))),
  ];
}

/**
 * The page of one doorbell that isn't known; drawn again once it is.
 * @param {import("../app.js").Context} context
 * @param {string | undefined} device the one wanted; none: whichever comes first
 */
export function unknownDoorbell({ household, left, again }, device) {
  const look = () => household.doorbell(device ?? household.doorbells[0]?.device) !== undefined && again();
  household.addEventListener("change", look, { signal: left });
  return [...formerDoorbells(household), ...noDoorbell()];
}
