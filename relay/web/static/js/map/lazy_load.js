/**
 * Lazy loading of large modules, once their place on the page comes near the view.
 * @module
 */
import { t } from "../page.js";

/** @param {HTMLElement} place @param {() => Promise<void>} open what fills the place; says itself what went wrong by throwing */
export function loadWhenNear(place, open) {
  const load = async () => {
    place.textContent = t("map.loading");
    try {
      await open();
    } catch (error) {
      console.warn("area", error);
      place.textContent = t("map.load_failed", { message: error instanceof Error ? error.message : "" });
    }
  };
  const watch = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      void load();
    },
    { rootMargin: "400px" },
  );
  watch.observe(place);
}
