/**
 * Export of everything that a doorbell keeps: begun by the passkey, written into a folder or saved as
 * ZIP files, with progress. It can be paused, and goes on after a reload or a break.
 * @module
 */
import { thisBrowser } from "../account.js";
import { confirmSheet } from "../components/dialog.js";
import { fill, h } from "../dom.js";
import { openExports } from "../export_notes.js";
import { FolderFull, FolderGone, FolderTarget } from "../export_folder.js";
import { endExport, exportSource } from "../export_source.js";
import { ZipTarget } from "../export_zip.js";
import { Paused, runExport } from "../exporter.js";
import { bytesText, durationText, t, time } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { deleteKey, readKey, writeKey } from "../vendor/browser/key_store.js";
import { guarded, living, problem } from "./parts.js";
import { isPending, refusedByBrowser, standing } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../export_files.js").ExportList} ExportList */
/** @typedef {import("../export_files.js").FileEntry} FileEntry */
/** @typedef {import("../export_zip.js").ZipPart} ZipPart */
/** @typedef {import("../exporter.js").Standing} Standing */
/** @typedef {FileSystemDirectoryHandle & {requestPermission?: (how: {mode: "readwrite"}) => Promise<PermissionState>}} Folder */
/**
 * What this browser remembers of an export that isn't complete.
 * @typedef {{digest: string, folder: Folder | null, files: FileEntry[], parts: number}} Kept
 */

/** @param {Context} context @param {Doorbell} bell */
export function exportSection(context, bell) {
  const page = new ExportPage(context, bell);
  return h("section", {}, othersExports(context, bell.device, page), page.node);
}

/** @param {string} device */
const storedAs = (device) => `export:${device}`;

/** @returns {((how: {id: string, mode: "readwrite"}) => Promise<Folder>) | undefined} where the browser can write into a folder */
function folderPicker() {
  const { showDirectoryPicker } = /** @type {any} */ (window);
  return showDirectoryPicker?.bind(window);
}

class ExportPage {
  /** @param {Context} context @param {Doorbell} bell */
  constructor(context, bell) {
    this.context = context;
    this.bell = bell;
    this.said = h("div", { "aria-live": "polite" });
    this.place = h("div", {});
    this.node = h("div", { id: "export" }, this.place, this.said);
    /** @type {Kept | null} */
    this.kept = null;
    this.isRunning = false;
    /** @type {AbortController | null} */
    this.pausing = null;
    context.household.addEventListener("change", () => this.#changed(), { signal: context.left });
    context.left.addEventListener("abort", () => this.pausing?.abort());
    void this.#load();
  }

  /** Whether an export is this browser's own. @param {string} digest */
  isOwn(digest) {
    return this.kept?.digest === digest;
  }

  async #load() {
    try {
      this.kept = (await readKey(storedAs(this.bell.device))) ?? null;
    } catch (error) {
      console.warn("what is known of an export", error);
    }
    if (!this.isRunning) this.#draw();
    this.context.household.dispatchEvent(new CustomEvent("change"));
  }

  #changed() {
    if (this.isRunning || this.kept === null) return;
    this.#draw();
  }

  #draw() {
    if (this.kept === null) return this.#drawBegin();
    const { household } = this.context;
    const { device } = this.bell;
    const state = standing(household, this.kept.digest);
    if (state === "refused") {
      const body = household.notesOn(this.kept.digest).at(-1)?.note.body;
      return fill(this.place, body?.type === "statement_refused" && refusedByBrowser(body, () => void this.#forget()));
    }
    const isOver = state === "done" && !openExports(household, device, nowMs()).some(({ digest }) => this.isOwn(digest));
    const hasBegun = state === "done" && !isOver;
    fill(
      this.place,
      state === "sent" && isPending(household, device),
      (hasBegun || isOver) &&
        h(
          "div",
          { class: "notice", id: "export-unfinished", role: "status" },
          h("h2", {}, t(isOver ? "export.over" : "export.unfinished")),
          h("p", {}, t(isOver ? "export.over_help" : "export.unfinished_help")),
        ),
      h(
        "div",
        { class: "actions" },
        hasBegun && h("button", { class: "primary", id: "go-on", onclick: guarded(this.said, () => this.#goOn()) }, t("export.go_on")),
        isOver && h("button", { class: "primary", id: "export-again", onclick: guarded(this.said, () => this.#beginAgain()) }, t("export.again")),
        h("button", { id: "export-stop", onclick: guarded(this.said, () => this.#stop()) }, t("export.stop")),
      ),
    );
  }

  #drawBegin() {
    const hasFolders = folderPicker() !== undefined;
    fill(
      this.place,
      h("p", { class: "lead" }, t("export.lead")),
      h("ul", {}, ["export.has.recordings", "export.has.household", "export.has.events"].map((key) => h("li", {}, t(key)))),
      h("p", {}, t(hasFolders ? "export.folder_help" : "export.zip_help")),
      h("p", { class: "muted" }, t("export.told")),
      h(
        "div",
        { class: "actions" },
        hasFolders && h("button", { class: "primary", id: "export-folder", onclick: guarded(this.said, () => this.#begin(true)) }, t("export.to_folder")),
        h("button", { class: hasFolders ? "" : "primary", id: "export-zip", onclick: guarded(this.said, () => this.#begin(false)) }, t("export.to_zip")),
      ),
    );
  }

  /** @param {boolean} isFolder */
  async #begin(isFolder) {
    const folder = isFolder ? await pickedFolder() : null;
    if (isFolder && folder === null) return;
    await this.#sign({ digest: "", folder, files: [], parts: 0 });
  }

  /** What was saved stays saved: only the right was over. */
  async #beginAgain() {
    if (this.kept !== null) await this.#sign(this.kept);
  }

  /** @param {Kept} kept */
  async #sign(kept) {
    const { household } = this.context;
    const { id } = await thisBrowser(household.owner);
    const digest = await sendStatement(household, this.bell.device, { kind: "export", browser: id });
    await this.#keep({ ...kept, digest });
    this.#draw();
    await this.#untilBegun(digest);
    if (standing(household, digest) === "done") await this.#run();
  }

  /** @param {string} digest */
  #untilBegun(digest) {
    const { household, left } = this.context;
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const look = () => {
          if (standing(household, digest) === "sent" && !left.aborted) return;
          household.removeEventListener("change", look);
          resolve();
        };
        household.addEventListener("change", look);
        left.addEventListener("abort", look, { once: true });
        look();
      })
    );
  }

  async #goOn() {
    const folder = this.kept?.folder;
    if (folder?.requestPermission && (await folder.requestPermission({ mode: "readwrite" })) !== "granted") throw new FolderGone("not granted");
    await this.#run();
  }

  async #run() {
    const { kept, bell, context } = this;
    if (kept === null || this.isRunning || context.left.aborted) return;
    this.isRunning = true;
    const pausing = (this.pausing = new AbortController());
    const { signal } = pausing;
    const parts = h("div", { "aria-live": "polite" });
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("export.running") });
    const line = h("p", { id: "export-progress", class: "muted" }, t("export.looking"));
    const pause = h("button", { id: "pause-export", onclick: () => pausing.abort() }, t("export.pause"));
    fill(this.said);
    fill(this.place, h("h2", {}, t("export.running")), h("div", { class: "progress" }, bar), line, parts, h("div", { class: "actions" }, pause), h("p", { class: "muted" }, t("export.stay")));
    try {
      const source = exportSource(context, bell, signal);
      const target =
        kept.folder === null
          ? new ZipTarget({ base: zipBase(bell), saved: kept }, (part) => offered(parts, part, signal), (files, count) => this.#keep({ ...kept, files, parts: count }))
          : new FolderTarget(kept.folder, bell.device);
      const done = await runExport(source, target, { signal, onProgress: (now) => drawProgress(bar, line, now) });
      await this.#forget(false);
      this.#drawDone(done);
    } catch (error) {
      this.isRunning = false;
      if (context.left.aborted) return;
      this.#draw();
      if (error instanceof Paused) return;
      console.warn("an export", error);
      fill(this.said, exportProblem(error));
    } finally {
      pausing.abort();
      this.isRunning = false;
    }
  }

  /** @param {ExportList} list */
  #drawDone({ files, left_out }) {
    const size = files.reduce((sum, one) => sum + one.size, 0);
    fill(
      this.place,
      h(
        "div",
        { class: "notice", id: "export-done", role: "status" },
        h("h2", {}, t("export.done")),
        h("p", {}, t("export.done_help", { count: files.length, size: bytesText(size) })),
        left_out.length > 0 && h("p", { id: "left-out" }, t("export.left_out", { count: left_out.length })),
        h("p", { class: "muted" }, t("export.check")),
      ),
    );
  }

  async #stop() {
    const title = t("export.stop_title");
    if (!(await confirmSheet({ title, body: h("p", {}, t("export.stop_help")), yes: t("export.stop_yes"), no: t("export.stop_no"), isDangerous: true }))) return;
    await endExport(this.context.ready, this.bell.device, false).catch((error) => console.warn("it ends by itself", error));
    await this.#forget();
  }

  /** @param {Kept} kept */
  async #keep(kept) {
    this.kept = kept;
    await writeKey(storedAs(this.bell.device), kept);
  }

  async #forget(isDrawn = true) {
    this.kept = null;
    await deleteKey(storedAs(this.bell.device));
    if (isDrawn) this.#draw();
  }
}

/** The exports of others, which any owner may stop. @param {Context} context @param {string} device @param {ExportPage} page */
function othersExports(context, device, page) {
  const { household } = context;
  const said = h("div", { "aria-live": "polite" });
  const list = living(context, () => {
    const others = openExports(household, device, nowMs()).filter(({ digest }) => !page.isOwn(digest));
    if (others.length === 0) return [];
    const row = (/** @type {import("../export_notes.js").OpenExport} */ { digest, by, browser, beganMs }) => {
      const stop = guarded(said, async () => {
        await sendStatement(household, device, { kind: "end_export", export_digest: digest });
        fill(said, h("p", { class: "notice", role: "status" }, t("export.stopping")));
      });
      const words = h("div", { class: "grow" }, h("strong", {}, t("export.by", { name: by })), h("p", { class: "muted" }, browser, " · ", time(beganMs)));
      return h("li", { "data-export": digest }, words, h("button", { class: "danger-text", onclick: stop }, t("export.stop_theirs")));
    };
    return [h("ul", { class: "rows", id: "open-exports" }, others.map(row))];
  });
  return h("div", {}, list, said);
}

/** @returns {Promise<Folder | null>} null: the person chose none */
async function pickedFolder() {
  try {
    return (await folderPicker()?.({ id: "doorward-export", mode: "readwrite" })) ?? null;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return null;
    throw error;
  }
}

/** Offers a ZIP file until it was saved. @param {HTMLElement} place @param {ZipPart} part @param {AbortSignal} signal */
function offered(place, { number, name, blob }, signal) {
  const href = URL.createObjectURL(blob);
  return /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      const end = (/** @type {() => void} */ settle) => {
        fill(place);
        setTimeout(() => URL.revokeObjectURL(href), 60_000);
        settle();
      };
      const save = h("a", { class: "button primary", id: `save-part-${number}`, href, download: name }, t("export.save_part", { number, size: bytesText(blob.size) }));
      save.addEventListener("click", () => setTimeout(() => end(resolve)), { once: true });
      signal.addEventListener("abort", () => end(() => reject(new Paused())), { once: true });
      fill(place, h("div", { class: "notice", role: "status" }, h("p", {}, t("export.part_ready")), save));
    })
  );
}

/** Nobody is told each time: whoever wants to hear it reads the bar. @param {HTMLProgressElement} bar @param {HTMLElement} line @param {Standing} now */
function drawProgress(bar, line, { count, of, bytes, ofBytes, leftMs }) {
  bar.value = ofBytes === 0 ? 1 : bytes / ofBytes;
  fill(line, t("export.progress", { count, of, bytes: bytesText(bytes), all: bytesText(ofBytes) }), leftMs !== null && count < of && ` · ${t("export.left", { time: durationText(leftMs) })}`);
}

/** @param {unknown} error */
function exportProblem(error) {
  const known = error instanceof FolderGone ? "export.error.folder" : error instanceof FolderFull ? "export.error.full" : "";
  if (known) return h("div", { class: "warning", id: "export-problem", role: "alert" }, h("p", {}, t(known)));
  if (error instanceof Error && error.name === "NotAnswered") {
    return h("div", { class: "warning", id: "export-problem", role: "alert" }, h("p", {}, t("export.error.not_answered")));
  }
  return problem(error);
}

/** @param {Doorbell} bell */
function zipBase({ name, device }) {
  const plain = name.normalize("NFKD").replace(/[^\w]+/g, "-").replace(/^-|-$/g, "").toLowerCase();
  return `doorward-${plain || device}`;
}
