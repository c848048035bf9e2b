/**
 * Download of a sealed package, unchanged. No page of the relay opens one, or reads a key.
 * @module
 */
import { guarded, post, say, t, Refused } from "./page.js";

const FORGET_AFTER_MS = 60_000;
const save = /** @type {HTMLButtonElement} */ (document.getElementById("save"));

save.addEventListener("click", () =>
  guarded(save, async () => {
    say(t("downloading"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await fetchPackage());
    link.download = `${save.dataset.package}.dwpkg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), FORGET_AFTER_MS);
    say(t("saved_package"));
  }),
);
save.disabled = false; // drawn disabled: no click comes before this

/** Its address is given once the download is in the public log. */
async function fetchPackage() {
  const { url } = await post(`/agency/evidence/${save.dataset.package}/download`);
  const response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
  if (!response.ok) throw new Refused(t("failed", { message: `${response.status}` }));
  return response.blob();
}
