/**
 * The home-screen shortcut to live view: opens the only doorbell, or the list.
 * @module
 */
import { known } from "./parts.js";

/** @param {import("../app.js").Context} context */
export async function seePage({ household }) {
  await known(household);
  const [first, ...others] = household.doorbells;
  location.replace(first !== undefined && others.length === 0 ? `#/live/${first.device}` : "#/");
  return { title: "Doorward", body: [] };
}
