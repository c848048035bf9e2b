/**
 * The short way to live view, from the phone's home screen: to the only doorbell, or to the list.
 * @module
 */

/** @param {import("../app.js").Context} context */
export async function seePage({ household }) {
  if (!household.isLoaded) await household.load();
  const [first, ...others] = household.doorbells;
  location.replace(first !== undefined && others.length === 0 ? `#/live/${first.device}` : "#/");
  return { title: "Doorward", body: [] };
}
