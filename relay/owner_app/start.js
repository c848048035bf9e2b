/**
 * The app's loader: starts the app, or shows that it can't be fetched, with the page's own texts.
 * @module
 */
import("./app.js").catch((error) => {
  console.error(error);
  document.getElementById("no-start")?.removeAttribute("hidden");
});
