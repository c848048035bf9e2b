/**
 * The short way to live view, from the phone's home screen: to the only doorbell, or to the list.
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
