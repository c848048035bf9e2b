/**
 * What an owner does with one recording: keep it at the doorbell, save or share it as a file,
 * delete it, and take that back. Keeping and deleting are signed, and every owner is told.
 * @module
 */
import { choicesOf } from "../clip_choices.js";
import { dialog } from "../components/dialog.js";
import { segmented } from "../components/controls.js";
import { fill, h } from "../dom.js";
import { bytesText, t, timeWithin } from "../i18n.js";
import { fetchRequests } from "../published_requests.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { fileName } from "./live_tools.js";
import { guarded } from "./parts.js";
import { isPending, refusedByBrowser, standing } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */
/** @typedef {import("../vendor/protocol/documents.js").Terms} Terms */

export class ClipActions {
  /** @param {Context} context @param {ClipEvent} clip */
  constructor(context, clip) {
    this.context = context;
    this.clip = clip;
    this.said = h("div", { "aria-live": "polite" });
    this.choice = h("div");
    this.files = h("div", { class: "actions" });
    this.node = h("div", { id: "clip-actions" }, this.choice, this.said);
    this.sent = "";
    this.drawn = "";
    this.#draw();
    for (const type of ["change", "contact"]) {
      context.household.addEventListener(type, () => this.#draw(), { signal: context.left });
    }
  }

  /** Offers the fetched and checked file. @param {{blob: Blob, url: string, startedMs: number}} fetched */
  use({ blob, url, startedMs }) {
    const { name = "" } = this.context.household.doorbell(this.clip.device) ?? {};
    const called = fileName(name, startedMs, "mp4");
    const file = new File([blob], called, { type: "video/mp4" });
    const share = navigator.canShare?.({ files: [file] }) && h("button", { id: "share-clip", onclick: guarded(this.said, () => shared(file)) }, t("clip.share"));
    fill(this.files, share, h("a", { class: "button", id: "save-clip", href: url, download: called }, t("clip.save", { size: bytesText(blob.size) })));
  }

  #draw() {
    const { household } = this.context;
    const { device, body } = this.clip;
    const { deleted, keptBy } = choicesOf(household).of(device, body.clip_id);
    const state = this.sent === "" ? "" : standing(household, this.sent);
    const now = JSON.stringify([deleted, keptBy, state, household.doorbell(device)?.state, deleted && deleted.until_ms > nowMs()]);
    if (now === this.drawn) return; // what is under a finger stays
    this.drawn = now;
    if (state === "sent") return fill(this.choice, isPending(household, device), deleted === undefined && this.files);
    const refusal = state === "refused" && this.#refusal();
    if (deleted !== undefined) return fill(this.choice, refusal, this.#deleted(deleted));
    const isMine = keptBy.includes(household.owner.name);
    const others = keptBy.filter((name) => name !== household.owner.name);
    fill(
      this.choice,
      refusal,
      h(
        "div",
        { class: "clip-actions" },
        h("button", { id: "keep", "aria-pressed": String(isMine), class: "chip", onclick: this.#sending({ kind: "keep_clips", clips: [body.clip_id], is_kept: !isMine }) }, t(isMine ? "clip.kept" : "clip.keep")),
        this.files,
        h("button", { id: "delete", class: "danger-text", onclick: guarded(this.said, () => this.#ask()) }, t("clip.delete")),
      ),
      h("p", { class: "muted" }, others.length > 0 ? t("clip.kept_by", { names: others.join(", ") }) : t(isMine ? "clip.kept_help" : "clip.keep_help")),
    );
  }

  /** @param {import("../clip_choices.js").Deleted} deleted */
  #deleted({ by, until_ms }) {
    const { clip_id } = this.clip.body;
    if (until_ms <= nowMs()) return h("div", { class: "notice", id: "clip-erased", role: "status" }, h("p", {}, t("clip.erased", { name: by })));
    return h(
      "div",
      { class: "notice", id: "clip-deleted", role: "status" },
      h("p", {}, t("clip.deleted", { name: by, time: timeWithin(until_ms) })),
      h(
        "div",
        { class: "actions" },
        h("button", { id: "undelete", class: "primary", onclick: this.#sending({ kind: "undelete", clips: [clip_id] }) }, t("clip.undelete")),
        h("button", { id: "erase", onclick: this.#sending({ kind: "delete_clips", clips: [clip_id], is_now: true }) }, t("clip.erase")),
      ),
    );
  }

  #refusal() {
    const body = this.context.household.notesOn(this.sent).at(-1)?.note.body;
    if (body?.type !== "statement_refused") return null;
    return refusedByBrowser(body, () => {
      this.sent = "";
      this.#draw();
    });
  }

  async #ask() {
    const when = segmented({
      name: "delete-when",
      legend: t("clip.delete_when"),
      value: "day",
      options: [
        { value: "day", text: t("clip.delete_in_a_day") },
        { value: "now", text: t("clip.delete_now") },
      ],
    });
    const asked = h("p", { class: "warn-text", id: "is-asked-for", hidden: true }, t("clip.delete_asked"));
    void this.#isAskedFor().then((isAsked) => (asked.hidden = !isAsked));
    const { closed } = dialog({
      title: t("clip.delete_title"),
      id: "delete-clip",
      body: [asked, when, h("p", {}, t("clip.delete_help")), h("p", { class: "muted" }, t("clip.delete_copies"))],
      buttons: [
        { text: t("clip.delete_yes"), value: "yes", kind: "danger" },
        { text: t("clip.delete_no"), value: "no" },
      ],
    });
    if ((await closed) !== "yes") return;
    const is_now = when.querySelector("input:checked")?.getAttribute("value") === "now";
    await this.#send({ kind: "delete_clips", clips: [this.clip.body.clip_id], is_now });
  }

  /** Whether a request that its doorbell told of asks for its time: then it may have to be kept. */
  async #isAskedFor() {
    const { household, relay } = this.context;
    const told = new Set(household.matches.filter(({ device }) => device === this.clip.device).map(({ request_digest }) => request_digest));
    const from_ms = household.startOf(this.clip);
    const to_ms = from_ms + this.clip.body.duration_ms;
    const items = await fetchRequests(relay).catch(() => []); // whichever is asked for, the same is fetched
    return items.some(({ digest, request }) => told.has(digest) && request.from_ms < to_ms && request.to_ms > from_ms);
  }

  /** @param {Terms} terms */
  #sending(terms) {
    return guarded(this.said, () => this.#send(terms));
  }

  /** @param {Terms} terms */
  async #send(terms) {
    this.sent = await sendStatement(this.context.household, this.clip.device, terms);
    this.#draw();
  }
}

/** @param {File} file */
async function shared(file) {
  try {
    await navigator.share({ files: [file] });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  }
}
