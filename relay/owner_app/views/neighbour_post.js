/**
 * A neighbour's post as everybody sees it: what, where, when, in whose words, and pictures.
 * @module
 */
import { dialog } from "../components/dialog.js";
import { fill, h } from "../dom.js";
import { t, timeWithin } from "../i18n.js";
import { partText } from "./cell_choice.js";

/** @typedef {import("../feed.js").Told} Told */
/** @typedef {import("../feed.js").Post} Post */
/** @typedef {import("../feed.js").District} District */

/**
 * What a post tells. @param {Told} told @param {District | undefined} district
 * @param {{title?: Node[], more?: (Node | string | false | null)[], pictures: (Node | false)[]}} how
 */
export function postBody(told, district, { title = [], more = [], pictures }) {
  const facts = [partText(district, told.cell), t("neighbours.happened", { time: timeWithin(told.hour_ms) }), ...more.filter(Boolean)];
  return [
    h("p", { class: "post-title" }, h("strong", {}, t(`neighbours.kind.${told.kind}`)), title),
    h("p", { class: "muted" }, facts.flatMap((one, at) => (at === 0 ? [one] : [" · ", one]))),
    told.text !== "" && h("p", { class: "post-text" }, told.text),
    pictures.length > 0 && h("div", { class: "post-pictures" }, pictures),
  ];
}

/** A picture that is fetched when it is drawn; a touch shows it large. @param {string} id @param {import("../feed.js").FeedPictures} all @param {string} label */
export function postPicture(id, all, label) {
  const place = h("button", { type: "button", class: "post-picture", "aria-label": t("neighbours.picture.open", { what: label }) });
  all.url(id).then(
    (src) => {
      fill(place, h("img", { src, alt: "" }));
      place.addEventListener("click", () => dialog({ title: label, id: "post-picture", body: h("img", { src, alt: label, class: "large" }), buttons: [{ text: t("banner.close"), value: "" }] }));
    },
    (error) => {
      console.warn("a picture didn't come", error);
      place.replaceWith(h("p", { class: "muted" }, t("neighbours.picture.none")));
    },
  );
  return place;
}

/** Who wrote it, where that isn't a neighbour. @param {Post} post */
export function byTag({ by, agency }) {
  if (by === "neighbour") return null;
  return h("span", { class: "tag official" }, by === "agency" ? t("neighbours.by.agency", { agency: agency ?? "" }) : t("neighbours.by.relay"));
}
