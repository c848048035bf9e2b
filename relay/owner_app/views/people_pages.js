/**
 * The pages behind People: owners with their passkeys, guests, who looked, and moving out.
 * @module
 */
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { guestsSection } from "./guests.js";
import { lookedSection } from "./looked.js";
import { leavingSection } from "./moving_out.js";
import { nowherePage } from "./nowhere.js";
import { ownersSection } from "./owners.js";
import { known } from "./parts.js";
import { readsSection } from "./reads.js";

/** @typedef {import("../app.js").Context} Context */

/** @type {Record<string, {title: string, sections: (context: Context) => Node[]}>} */
const PAGES = {
  owners: { title: "owners.title", sections: (context) => [...ofEach(context, (_, device) => ownersSection(context, device, { hasHeading: false })), h("h2", {}, t("people.invite")), h("p", {}, t("people.invite_help"))] },
  guests: { title: "guests.title", sections: (context) => [guestsSection(context)] },
  looked: { title: "looked.title", sections: (context) => [lookedSection(context), readsSection(context)] },
  leave: { title: "leaving.title", sections: (context) => ofEach(context, leavingSection) },
};

/** @param {Context} context */
export async function peopleSubpage(context) {
  const page = Object.hasOwn(PAGES, context.parts[0] ?? "") ? PAGES[context.parts[0]] : undefined;
  if (page === undefined) return nowherePage();
  await known(context.household);
  const back = h("p", {}, h("a", { id: "to-people", href: "#/settings/people" }, t("settings.group.people")));
  return { title: t(page.title), body: [back, ...page.sections(context)] };
}

/** A section for each doorbell that is owned here. @param {Context} context @param {(context: Context, device: string) => Node} section */
function ofEach(context, section) {
  const own = context.household.doorbells.filter(({ guest }) => guest == null);
  return own.map(({ device, name }) => h("div", {}, own.length > 1 && h("h2", {}, name), section(context, device)));
}
