/**
 * The module of the page /map: puts a map that can be moved in place of the relay's picture, once
 * somebody comes near it and where the browser can draw one. Without it the picture stays.
 * @module
 */
import { hasWebGl } from "./map/webgl.js";

const place = document.getElementById("asked-map");
if (place !== null && hasWebGl()) {
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    import("./map/asked_view.js").then(({ openAskedMap }) => openAskedMap(place)).catch((error) => console.warn("map", error));
  });
  watch.observe(place);
}
