/**
 * Deletion of one's own account: what goes, what stays and why, and a receipt to save. Grants that
 * nobody has fetched are withdrawn first, and each doorbell that others own as well is left.
 * @module
 */
import { decisionsOn } from "../account.js";
import { keepReceipt, keptReceipt, openGrants } from "../account_deletion.js";
import { ApiError } from "../api.js";
import { confirmSheet } from "../components/dialog.js";
import { fill, h } from "../dom.js";
import { t, tn } from "../i18n.js";
import { pause } from "../pause.js";
import { signStatement } from "../statements.js";
import { passkeyLogin } from "../vendor/browser/passkey.js";
import { guarded, known } from "./parts.js";
import { standing } from "./progress.js";

/** @typedef {import("../account_deletion.js").OpenGrant} OpenGrant */
/** @typedef {import("../account_deletion.js").Preview} Preview */
/** @typedef {import("../app.js").Context} Context */

/** So long the doorbell is waited for; then its statement waits at the relay. */
const WITHDRAWN_MS = 15_000;
const LOOK_MS = 250;
/** What people know of what the relay counts; the rest of it stands in the receipt. */
const GOES = ["account.goes.passkeys", "account.goes.sessions", "account.goes.push_subscriptions", "account.goes.followed_doorbells", "account.goes.guest_rights", "account.goes.player_tokens", "account.goes.theft_reports", "account.goes.notes", "account.goes.feed_membership", "account.goes.feed_legal_notices", "account.goes.feed_posts_unpublished", "account.goes.feed_posts_made_anonymous"];

/** @param {Context} context @returns {Promise<import("../app.js").Page>} */
export async function deleteAccountPage(context) {
  const { household, relay } = context;
  await known(household);
  await household.reading;
  const [preview, { packages }] = await Promise.all([relay.get("account/deletion"), relay.get("packages")]);
  const grants = openGrants(household.notes.values(), packages, household.matches, {
    signedHere: ({ device, request_digest }) => decisionsOn(device, request_digest).grant?.digest,
    isAlone: (device) => preview.doorbells.some((/** @type {import("../account_deletion.js").StayingDoorbell} */ one) => one.device === device && one.other_accounts === 0),
  });
  const said = h("div", { "aria-live": "polite" });
  const again = h("div", { "aria-live": "polite" });
  const ask = guarded(again, async () => {
    if (await isSure(preview, grants)) await new Deletion(context, preview, grants, said).run();
  });
  return {
    title: t("account.delete.title"),
    body: [
      h("p", { class: "back" }, h("a", { href: household.isGuest ? "#/sessions" : "#/settings/data" }, `‹ ${t(household.isGuest ? "sessions.title" : "settings.group.data")}`)),
      h("p", { class: "lead" }, t("account.delete.lead", { relay: context.config.relay_name })),
      grants.length > 0 && h("p", { class: "notice", id: "to-withdraw" }, tn("account.delete.withdrawn", grants.length)),
      goes(preview),
      stays(preview, household.isGuest),
      ...preview.doorbells.map((/** @type {import("../account_deletion.js").StayingDoorbell} */ one) => doorbellPart(context, one)),
      !household.isGuest && h("p", {}, t("account.delete.export_first"), " ", h("a", { href: "#/settings/data" }, t("settings.page.export"))),
      said,
      h("div", { class: "actions" }, h("button", { class: "danger", id: "delete-account", onclick: ask }, t("account.delete.yes"))),
      again,
    ].filter((one) => one instanceof Node),
  };
}

/** What stands where the account was. */
export function accountDeletedPage() {
  const text = keptReceipt();
  if (text === null) return { title: t("account.deleted.title"), body: [h("p", {}, t("account.deleted.no_receipt"))] };
  const isSaid = JSON.parse(text).deleted_ms !== null;
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  return {
    title: t("account.deleted.title"),
    body: [
      h("p", { class: "lead", id: "account-deleted", role: "status" }, t(isSaid ? "account.deleted.lead" : "account.deleted.unsaid")),
      h("div", { class: "actions" }, h("a", { class: "button primary", id: "save-receipt", href, download: "doorward-deletion-receipt.json" }, t("account.deleted.save"))),
      h("p", {}, t("account.deleted.codes")),
      h("p", { class: "muted" }, t("account.deleted.only_here")),
    ],
  };
}

/** The steps, each of which may be broken off: nothing at the relay goes before the last. */
class Deletion {
  /** @param {Context} context @param {Preview} preview @param {OpenGrant[]} grants @param {HTMLElement} said */
  constructor(context, preview, grants, said) {
    this.context = context;
    this.preview = preview;
    this.grants = grants;
    this.said = said;
  }

  async run() {
    const { household, relay, config } = this.context;
    const withdrawn = await this.#withdraw();
    const leaving = await this.#signLeaving();
    this.#say("account.delete.confirming");
    const { session, options } = await relay.post("account/deletion/options", {});
    const credential = await passkeyLogin(options, { isDemo: config.demo_passkeys && (await isDemo(household.owner.credential_id)) });
    for (const { device, sealed } of leaving) await relay.post(`doorbells/${device}/statements`, { sealed });
    const own = { withdrawn_grants: withdrawn, left_doorbells: leaving.map(({ device }) => device) };
    keepReceipt({ ...this.preview, deleted_ms: null, relay: this.context.relayUrl, ...own });
    try {
      keepReceipt({ ...(await relay.post("account/deletion", { session, credential })), ...own });
    } catch (error) {
      // The answer to an earlier try was lost: the relay knows no such account any more.
      if (!(error instanceof ApiError && error.status === 401)) throw error;
    }
    this.context.signOut({ isKnown: false });
    location.hash = "#/account/deleted";
  }

  /** @returns {Promise<{device: string, grant: string, is_answered: boolean}[]>} */
  async #withdraw() {
    const { household, relay } = this.context;
    const sent = [];
    for (const [at, { device, digest: grant }] of this.grants.entries()) {
      this.#say("account.delete.withdrawing", { number: at + 1, count: this.grants.length });
      const { digest, sealed } = await signStatement(household, device, { kind: "revoke", grant_digest: grant });
      await relay.post(`doorbells/${device}/statements`, { sealed });
      sent.push({ device, grant, digest });
    }
    const endMs = performance.now() + WITHDRAWN_MS;
    const isAnswered = (/** @type {{digest: string}} */ { digest }) => standing(household, digest) !== "sent";
    while (!sent.every(isAnswered) && performance.now() < endMs) await pause(LOOK_MS);
    return sent.map((one) => ({ device: one.device, grant: one.grant, is_answered: isAnswered(one) }));
  }

  /** Signs what leaves each doorbell that others own as well; it is sent with the deletion. */
  async #signLeaving() {
    const { household } = this.context;
    const { credential_id } = household.owner;
    const signed = [];
    for (const { device, other_accounts } of this.preview.doorbells) {
      if (other_accounts === 0) continue; // the last owner can't go: the doorbell is reset instead
      this.#say("account.delete.leaving");
      signed.push({ device, ...(await signStatement(household, device, { kind: "remove_owner", credential_id })) });
    }
    return signed;
  }

  /** @param {string} key @param {Record<string, string | number>} [values] */
  #say(key, values) {
    fill(this.said, h("p", { class: "notice", role: "status", id: "deleting" }, t(key, values)));
  }
}

/** @param {Preview} preview @param {OpenGrant[]} grants */
function isSure({ doorbells }, grants) {
  const signatures = grants.length + doorbells.filter(({ other_accounts }) => other_accounts > 0).length + 1;
  const body = h("p", {}, tn("account.delete.signatures", signatures));
  return confirmSheet({ title: t("account.delete.ask"), body, yes: t("account.delete.sure"), no: t("account.delete.no"), isDangerous: true, id: "delete-account-sheet" });
}

/** @param {Preview} preview */
function goes({ deleted }) {
  const counted = GOES.map((key) => ({ key, count: deleted[key.slice("account.goes.".length)] ?? 0 })).filter(({ count }) => count > 0);
  return h(
    "section",
    { class: "card", id: "what-goes" },
    h("h2", {}, t("account.delete.goes")),
    h("ul", {}, counted.map(({ key, count }) => h("li", {}, tn(key, count)))),
    h("p", { class: "muted" }, t("account.delete.goes_help")),
  );
}

/** @param {Preview} preview @param {boolean} isGuest */
function stays({ doorbells }, isGuest) {
  const releases = doorbells.reduce((sum, one) => sum + one.releases.length, 0);
  const packages = doorbells.reduce((sum, one) => sum + one.packages.filter(({ state }) => state === "downloaded").length, 0);
  return h(
    "section",
    { class: "card", id: "what-stays" },
    h("h2", {}, t("account.delete.stays")),
    h(
      "ul",
      {},
      releases > 0 && h("li", {}, tn("account.stays.releases", releases)),
      packages > 0 && h("li", {}, tn("account.stays.packages", packages)),
      h("li", {}, t(isGuest ? "account.stays.guest" : "account.stays.recordings")),
      h("li", {}, t("account.stays.statements")),
      h("li", {}, t("account.stays.backups")),
    ),
  );
}

/** @param {Context} context @param {import("../account_deletion.js").StayingDoorbell} bell */
function doorbellPart({ household }, { device, other_accounts }) {
  const name = household.doorbell(device)?.name ?? device;
  const isLast = other_accounts === 0;
  return h(
    "section",
    { class: isLast ? "card warning" : "card", "data-device": device },
    h("h2", {}, name),
    h("p", {}, t(isLast ? "account.delete.last" : "account.delete.others")),
    isLast && h("p", {}, t("account.delete.last_help")),
    !isLast && h("p", {}, h("a", { href: "#/people/leave" }, t("account.delete.record"))),
  );
}

/** @param {string} credentialId */
async function isDemo(credentialId) {
  const { findDemoPasskey } = await import("../vendor/browser/demo_passkey.js");
  return (await findDemoPasskey())?.credential_id === credentialId;
}

