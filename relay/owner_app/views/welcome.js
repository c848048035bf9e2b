/**
 * The pages of signing in, and of joining by an invitation.
 * @module
 */
import { endedSession } from "../account.js";
import { h } from "../dom.js";
import { loadMoreWords, t } from "../i18n.js";
import { ownerOfMade, ownerOfUsed } from "../own_passkey.js";
import { findDemoPasskey } from "../vendor/browser/demo_passkey.js";
import { createPasskey, hasAuthenticator, passkeyLogin } from "../vendor/browser/passkey.js";
import { guarded } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */

/** @param {Context} context */
export async function welcomePage(context) {
  const place = h("div", { "aria-live": "polite" });
  const signIn = (/** @type {boolean} */ isDemo) =>
    guarded(place, async () => {
      const { session, options } = await context.relay.post("owner/login/options");
      const credential = await passkeyLogin(options, { isDemo });
      const { token, owner, lasts_ms } = await context.relay.post("owner/login/verify", { session, credential });
      context.signIn(token, await ownerOfUsed(owner, credential, options.challenge), lasts_ms);
      location.hash = "#/";
    });
  const hasDemo = context.config.demo_passkeys && (await findDemoPasskey()) !== undefined;
  return {
    title: t("welcome.title"),
    body: [
      await whySignedOut(),
      h("p", { class: "lead" }, t("welcome.lead")),
      h(
        "div",
        { class: "actions" },
        h("button", { class: "primary", id: "sign-in", onclick: signIn(false) }, t("welcome.sign_in")),
        hasDemo && h("button", { id: "sign-in-demo", onclick: signIn(true) }, t("welcome.sign_in_demo")),
      ),
      place,
      h("p", { class: "muted" }, t("welcome.invitation")),
      await elsewhere(context),
    ],
  };
}

/** Why this browser was signed out, unless somebody pressed "Sign out" here. */
async function whySignedOut() {
  const ended = endedSession();
  if (ended === null) return h("div");
  const [{ whyEnded }] = await Promise.all([import("./signed_out.js"), loadMoreWords()]);
  return whyEnded(ended);
}

/** The other relays that somebody may look for here. @param {Context} context */
async function elsewhere(context) {
  if (context.relays.length < 2) return h("div");
  const [{ otherHomes }] = await Promise.all([import("./other_homes.js"), loadMoreWords()]);
  return otherHomes(context) ?? h("div");
}

/** @param {Context} context */
export async function joinPage(context) {
  const invitation = context.query.get("invitation") ?? "";
  if (!invitation) {
    return { title: t("join.none_title"), body: [h("p", {}, t("join.none"))] };
  }
  return {
    title: t("join.title"),
    body: [
      h("p", { class: "lead" }, t("join.lead", { relay: context.config.relay_name })),
      ...(await joinForm(context, () => (location.hash = "#/start"))),
    ],
  };
}

/**
 * The form of an invitation: a name, and a new passkey.
 * @param {Context} context @param {() => void} then once one is signed in
 */
export async function joinForm(context, then) {
  const invitation = context.query.get("invitation") ?? "";
  const place = h("div", { "aria-live": "polite" });
  const name = h("input", { id: "name", name: "name", required: true, maxlength: 60, autocomplete: "name" });
  const add = (/** @type {boolean} */ isDemo) => async () => {
    const sent = { invitation, name: name.value.trim() };
    const { session, options } = await context.relay.post("owner/register/options", sent);
    const credential = await createPasskey(options, { isDemo });
    const signedIn = await context.relay.post("owner/register/verify", { session, credential });
    context.signIn(signedIn.token, ownerOfMade(signedIn.owner, credential, options.rp.id), signedIn.lasts_ms);
    then();
  };
  const offersDemo = context.config.demo_passkeys && !(await hasAuthenticator());
  const form = h(
    "form",
    { onsubmit: guarded(place, add(false)) },
    h("label", { for: "name" }, t("join.name")),
    name,
    h("p", { class: "hint" }, t("join.name_hint")),
    h(
      "div",
      { class: "actions" },
      h("button", { class: "primary", id: "add-passkey", type: "submit" }, t("join.add")),
      offersDemo && demoButton(name, guarded(place, add(true))),
    ),
    offersDemo && h("p", { class: "hint" }, t("join.demo_hint")),
  );
  return [form, place];
}

/** @param {HTMLInputElement} name @param {(event: Event) => Promise<void>} add */
function demoButton(name, add) {
  const press = (/** @type {Event} */ event) => {
    if (name.reportValidity()) void add(event);
  };
  return h("button", { type: "button", id: "demo-passkey", onclick: press }, t("join.demo"));
}
