/**
 * The screen after a signature that gives recordings: what to do next, how far it has come, and
 * taking it back. That the doorbell gave them is its own word; where the sealed package is then,
 * only the relay can say.
 * @module
 */
import { decisionsOn } from "../account.js";
import { nextBatchFrom, releaseEnd } from "../batches.js";
import { fill, h } from "../dom.js";
import { localPageAddress } from "../local_page_address.js";
import { currentLanguage, hasText, t, time, timeText } from "../i18n.js";
import { CONFIRM_MS, packageIdOf } from "../request_states.js";
import { rememberDecision } from "../sent_decisions.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { letter } from "./letter.js";
import { Folds, guarded, living } from "./parts.js";
import { standing, statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../package_states.js").PackageStates} PackageStates */
/** @typedef {import("../vendor/protocol/documents.js").ConfirmationWanted} ConfirmationWanted */

const GONE = ["erasing", "erased", "not_taken"];
/** A browser's timer takes no more. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

export class SignedRelease {
  /** @param {Context} context @param {Asked} asked @param {string} digest of the signed grant @param {PackageStates} packages */
  constructor(context, asked, digest, packages) {
    this.context = context;
    this.asked = asked;
    this.digest = digest;
    this.packages = packages;
    this.knocked = "";
    this.folds = new Folds();
    this.said = h("div", { "aria-live": "polite" });
    this.node = h("div", { class: "given", tabindex: -1 }, living(context, () => this.#content()), this.said);
  }

  /** As the relay says; "" is unknown. */
  get packageState() {
    return this.packages.of(packageIdOf(this.context.household, this.digest));
  }

  #content() {
    const { household } = this.context;
    const { device, digest } = this.asked;
    const { revoke } = decisionsOn(device, digest);
    const state = standing(household, this.digest);
    return [
      ...(revoke && state !== "done" ? [] : this.#progress()),
      state === "done" && h("p", { id: "package-state", "data-state": this.packageState }, this.#whereItIs()),
      ...(state === "refused" ? [] : this.#back(revoke?.digest)),
      this.folds.fold("read-again", t("release.read_request"), () => h("div", {}, letter(this.asked))),
    ];
  }

  #restart() {
    const { device, digest } = this.asked;
    rememberDecision(device, digest, "grant", null);
    rememberDecision(device, digest, "revoke", null);
    this.context.household.dispatchEvent(new CustomEvent("change"));
  }

  /** @returns {Node[]} */
  #progress() {
    const { household } = this.context;
    const last = household.notesOn(this.digest).at(-1);
    if (last?.note.body.type !== "confirmation_wanted") {
      return statementProgress(household, this.digest, () => this.#restart(), "clips", this.asked.device);
    }
    const untilMs = last.time_ms + CONFIRM_MS;
    return nowMs() < untilMs ? [this.#confirmHere(last.note.body, untilMs)] : this.#lapsed();
  }

  /** @param {ConfirmationWanted} wanted @param {number} untilMs */
  #confirmHere({ door_page: doorPage, batch_ms }, untilMs) {
    const isWeb = /^https?:\/\//.test(doorPage);
    const link = { class: "button primary", id: "door-page", href: isWeb ? localPageAddress(doorPage) : "", target: "_blank", rel: "noopener noreferrer" };
    this.#redrawAt(untilMs);
    return h(
      "section",
      { class: "next", id: "confirm-at-door", role: "status" },
      h("h2", {}, t("given.title")),
      h("p", { class: "lead" }, t("given.lead", { time: timeText(untilMs, "clock") })),
      h(
        "div",
        { class: "ways" },
        h("section", {}, h("h3", {}, t("given.home")), isWeb ? h("a", link, t("progress.open_door")) : h("p", { class: "digest" }, doorPage), h("p", { class: "muted" }, t("given.home_help"))),
        h("section", {}, h("h3", {}, t("given.away")), this.folds.fold("away-how", t("given.how"), () => this.#whenAway())),
      ),
      typeof batch_ms === "number" && batch_ms > 0 && goesAt(batch_ms),
    );
  }

  #whenAway() {
    return h("div", {}, h("p", {}, t("given.approve")), this.#knock(), h("p", {}, t("given.later")));
  }

  #lapsed() {
    return [
      h("section", { class: "next", id: "not-confirmed", role: "status" }, h("h2", {}, t("given.lapsed")), h("p", {}, t("given.lapsed_help"))),
      h("button", { onclick: () => this.#restart() }, t("progress.restart")),
    ];
  }

  /** @param {number} ms */
  #redrawAt(ms) {
    const { household, left } = this.context;
    const timer = setTimeout(() => household.dispatchEvent(new CustomEvent("change")), Math.min(LONGEST_WAIT_MS, Math.max(0, ms - nowMs()) + 1));
    left.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  #whereItIs() {
    const known = `package.${this.packageState}`;
    return hasText(known) ? t(known) : t("package.unknown");
  }

  /** Confirming without the door page, where an owner switched that on there. */
  #knock() {
    const { household } = this.context;
    if (this.knocked !== "" && standing(household, this.knocked) !== "refused") {
      return h("p", { class: "muted", role: "status", id: "knock-asked" }, t("knock.asked"));
    }
    const why = this.knocked === "" ? null : household.notesOn(this.knocked).at(-1)?.note.body;
    const ask = guarded(this.said, async () => {
      const language = currentLanguage() === "sv" ? "sv" : "en";
      this.knocked = await sendStatement(household, this.asked.device, { kind: "knock", statement_digest: this.digest, language });
      household.dispatchEvent(new CustomEvent("change"));
    });
    return h(
      "div",
      { id: "knock" },
      h("p", {}, t("knock.help")),
      h("p", { class: "muted" }, t("knock.limits")),
      why?.type === "statement_refused" && h("p", { class: "warn-text" }, why.detail),
      h("button", { id: "ask-knock", onclick: ask }, t("knock.ask")),
    );
  }

  /** @param {string | undefined} revoked digest of the statement that takes it back */
  #back(revoked) {
    const { household } = this.context;
    const { device, digest } = this.asked;
    if (revoked !== undefined) {
      const forget = () => {
        rememberDecision(device, digest, "revoke", null);
        household.dispatchEvent(new CustomEvent("change"));
      };
      if (standing(household, revoked) !== "done") return statementProgress(household, revoked, forget, "clips", device);
      return [
        h(
          "div",
          { class: "notice", id: "taken-back", role: "status" },
          h("h2", {}, t("back.done")),
          h("p", {}, t(`back.${this.#reached()}_done`)),
        ),
        h("button", { class: "quiet", onclick: () => this.#restart() }, t("release.reconsider")),
      ];
    }
    if (GONE.includes(this.packageState)) return [];
    const takeBack = guarded(this.said, async () => {
      const sent = await sendStatement(household, device, { kind: "revoke", grant_digest: this.digest });
      rememberDecision(device, digest, "revoke", { digest: sent, signed_ms: nowMs() });
      household.dispatchEvent(new CustomEvent("change"));
    });
    return [
      h("h3", {}, t("back.title")),
      h("p", { id: "back-means" }, t(`back.${this.#reached()}`)),
      h("button", { id: "take-back", onclick: takeBack }, t("back.take")),
    ];
  }

  /** How far it came, as far as that matters for taking it back (R14). */
  #reached() {
    if (standing(this.context.household, this.digest) !== "done") return "here";
    return this.packageState === "downloaded" ? "downloaded" : "before";
  }
}

/** The batch with which it goes if it is confirmed now; a later one once that has passed. @param {number} batchMs */
export function goesAt(batchMs) {
  const line = h("p", { class: "muted", id: "goes-at" });
  const show = () => {
    const now = nowMs();
    fill(line, t("progress.goes", { time: timeText(releaseEnd(now, batchMs), "clock") }));
    const wait = Math.min(nextBatchFrom(now, batchMs) - now, LONGEST_WAIT_MS);
    setTimeout(() => line.isConnected && show(), wait);
  };
  show();
  return line;
}
