/**
 * Starts the app, or says that it can't be fetched: in the page's own words, since none are there yet.
 * @module
 */
import("./app.js").catch((error) => {
  console.error(error);
  document.getElementById("no-start")?.removeAttribute("hidden");
});
