/**
 * The page shown if another page's code can't be fetched: no connection, or an update on the
 * server.
 * @module
 */
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { guarded } from "./parts.js";

/** @param {import("../worker_registration.js").WorkerRegistration} installed */
export function notLoaded(installed) {
  const place = h("div", { "aria-live": "polite" });
  const again = guarded(place, async () => {
    if (installed.isKept || (await isReachable())) return location.reload();
    fill(place, h("p", { class: "warn-text", id: "still-not-loaded" }, t("error.still_not_loaded")));
  });
  return {
    title: t("error.not_loaded"),
    body: [
      h("p", { id: "not-loaded" }, t("error.not_loaded_help")),
      h("div", { class: "actions" }, h("button", { class: "primary", id: "load-again", onclick: again }, t("error.again"))),
      place,
    ],
  };
}

/** A page that is loaded again without its server is lost: it is asked first. */
async function isReachable() {
  try {
    return (await fetch("./index.html", { method: "HEAD", cache: "no-store" })).ok;
  } catch {
    return false;
  }
}
