/**
 * The page of released recordings: their state, and withdrawing them. That the doorbell gave them
 * is its own word; where the sealed package is then, only the relay can say.
 * @module
 */
import { decisionsOn, rememberDecision } from "../account.js";
import { fill, h } from "../dom.js";
import { currentLanguage, hasText, t } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { guarded, living } from "./parts.js";
import { standing, statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../package_states.js").PackageStates} PackageStates */

const GONE = ["erasing", "erased", "not_taken"];

/**
 * Shows the letter until something is given, and then how that goes; changes by itself.
 * @param {Context} context @param {Asked} asked @param {PackageStates} packages @param {() => (Node | false | null)[]} notGiven
 */
export function releasedOr(context, asked, packages, notGiven) {
  const { household, left } = context;
  const place = h("div");
  let shown = "";
  const look = () => {
    const { grant } = decisionsOn(asked.device, asked.digest);
    const now = grant?.digest ?? "nothing";
    if (now === shown) return; // what is being filled in stays
    shown = now;
    fill(place, grant === undefined ? notGiven() : new Given(context, asked, grant.digest, packages).node);
  };
  look();
  household.addEventListener("change", look, { signal: left });
  return place;
}

class Given {
  /** @param {Context} context @param {Asked} asked @param {string} digest of the signed grant @param {PackageStates} packages */
  constructor(context, asked, digest, packages) {
    this.context = context;
    this.asked = asked;
    this.digest = digest;
    this.packages = packages;
    this.knocked = "";
    this.said = h("div", { "aria-live": "polite" });
    this.node = h("div", {}, living(context, () => this.#content()), this.said);
  }

  /** As the relay says; "" is unknown. */
  get packageState() {
    return this.packages.of(this.#packageId());
  }

  #content() {
    const { household } = this.context;
    const { device, digest } = this.asked;
    const restart = () => {
      rememberDecision(device, digest, "grant", null);
      rememberDecision(device, digest, "revoke", null);
      household.dispatchEvent(new CustomEvent("change"));
    };
    const { revoke } = decisionsOn(device, digest);
    const state = standing(household, this.digest);
    return [
      ...(revoke && state !== "done" ? [] : statementProgress(household, this.digest, restart, "clips", device)),
      state === "asked" && !revoke && this.#knock(),
      state === "done" && h("p", { id: "package-state", "data-state": this.packageState }, this.#whereItIs()),
      ...(state === "refused" ? [] : this.#back(revoke?.digest, restart)),
    ];
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
      "details",
      { id: "knock", open: why !== null },
      h("summary", {}, t("knock.title")),
      h("p", {}, t("knock.help")),
      h("p", { class: "muted" }, t("knock.limits")),
      why?.type === "statement_refused" && h("p", { class: "warn-text" }, why.detail),
      h("button", { id: "ask-knock", onclick: ask }, t("knock.ask")),
    );
  }

  /** @param {string | undefined} revoked digest of the statement that takes it back @param {() => void} restart */
  #back(revoked, restart) {
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
        h("button", { class: "quiet", onclick: restart }, t("release.reconsider")),
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

  #packageId() {
    const told = this.context.household.notesOn(this.digest).find(({ note }) => note.body.type === "released");
    return told?.note.body.type === "released" ? told.note.body.package_id : undefined;
  }
}
