/**
 * The public theft map's page: where the browser has WebGL, a map that moves takes the picture's
 * place once it is drawn. Without it, or if it fails, the picture stays.
 * @module
 */
import { pageData } from "./page.js";

const place = document.getElementById("theft-place");
if (place !== null && hasWebGl()) {
  const open = async () => {
    try {
      const { openTheftMap } = await import("./map/theft_view.js");
      await openTheftMap(place, pageData("theft-drawing"));
    } catch (error) {
      console.warn("theft map", error);
      document.getElementById("map")?.remove();
    }
  };
  if (document.readyState === "complete") void open();
  else addEventListener("load", () => void open(), { once: true });
}

function hasWebGl() {
  return document.createElement("canvas").getContext("webgl2") !== null;
}
