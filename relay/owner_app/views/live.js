/**
 * Seeing the door, live.
 * @module
 */
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { LiveSession } from "../live.js";
import { problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */

/** @param {Context} context */
export async function livePage(context) {
  const device = context.parts[0] ?? "";
  if (!context.household.isLoaded) await context.household.load();
  const video = h("video", { id: "live", autoplay: true, playsinline: "" });
  video.muted = true;
  const status = h("p", { class: "state", role: "status", id: "live-state" }, t("live.asking"));
  const place = h("div");
  const details = h("p", { class: "muted", id: "live-details" });
  const again = h("button", { id: "live-again" }, t("live.again"));
  const start = () => watch(context, device, { video, status, place, details, again });
  again.addEventListener("click", start);
  start();
  const wide = h("button", { id: "full-screen", onclick: () => video.requestFullscreen() }, t("live.full"));
  return {
    title: context.household.doorbell(device)?.name ?? t("live.title"),
    isWide: true,
    body: [
      video,
      status,
      place,
      h("div", { class: "actions" }, wide, again, h("a", { class: "button", href: "#/" }, t("live.done"))),
      h("details", {}, h("summary", {}, t("live.details")), details),
    ],
  };
}

/** @type {LiveSession | null} */
let current = null;

/**
 * @param {Context} context @param {string} device
 * @param {{video: HTMLVideoElement, status: HTMLElement, place: HTMLElement, details: HTMLElement, again: HTMLElement}} page
 */
async function watch({ relay, config, left }, device, { video, status, place, details, again }) {
  current?.close();
  fill(place);
  again.hidden = true; // it is offered when there is something to mend
  try {
    const session = (current = new LiveSession(relay, device, config.ice_servers));
    left.addEventListener("abort", () => session.close());
    session.onState = (state) => {
      if (session !== current) return;
      status.classList.toggle("on", state === "connected");
      again.hidden = state !== "lost" && state !== "closed";
      fill(status, t(`live.${state}`));
    };
    video.srcObject = session.stream;
    video.requestVideoFrameCallback(() => {
      const ms = Math.round(performance.now() - session.startedMs);
      video.dataset.firstFrameMs = String(ms);
      fill(details, t("live.first_frame", { ms }));
    });
    await session.start();
  } catch (error) {
    console.warn(error);
    if (left.aborted) return;
    status.classList.remove("on");
    again.hidden = false;
    fill(status, t("live.lost"));
    fill(place, problem(error));
  }
}
