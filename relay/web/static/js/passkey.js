/**
 * The module of passkey pages: officers and administrators sign in, add a passkey by an
 * invitation, or prove theirs anew.
 * @module
 */
import { findDemoPasskey } from "./browser/demo_passkey.js";
import { createPasskey, hasAuthenticator, passkeyLogin } from "./browser/passkey.js";
import { FACE, guarded, post, say, t } from "./page.js";

const demo = /** @type {HTMLInputElement | null} */ (document.getElementById("demo-passkey"));
const signIn = /** @type {HTMLButtonElement | null} */ (document.getElementById("sign-in"));
const join = /** @type {HTMLFormElement | null} */ (document.getElementById("join"));
const prove = /** @type {HTMLButtonElement | null} */ (document.getElementById("prove-passkey"));
const isDemo = () => demo?.checked ?? false;

/** A demo passkey is offered only where the browser has no authenticator of its own. */
async function offerDemoPasskey() {
  if (demo === null) return;
  const hasDemo = (await findDemoPasskey()) !== undefined;
  const isOffered = hasDemo || !(await hasAuthenticator());
  demo.closest("p")?.toggleAttribute("hidden", !isOffered);
  demo.checked = isOffered && hasDemo && join === null;
}

signIn?.addEventListener("click", () =>
  guarded(signIn, async () => {
    say(t("signing_in"));
    const { session, options } = await post(`${FACE}/login/options`);
    const credential = await passkeyLogin(options, { isDemo: isDemo() });
    await post(`${FACE}/login/verify`, { session, credential });
    say(t("signed_in"));
    location.assign(FACE);
  }),
);

document.getElementById("add-passkey")?.removeAttribute("hidden");
join?.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement | null} */ (document.getElementById("add-passkey"));
  guarded(button, async () => {
    say(t("working"));
    const name = String(new FormData(join).get("name") ?? "").trim();
    const invitation = join.dataset.invitation ?? "";
    const isSignedIn = join.dataset.step === "passkey"; // by their agency's own sign-in
    const begin = isSignedIn ? {} : { invitation, name };
    const path = `${FACE}/${isSignedIn ? "passkey" : "register"}`;
    const { session, options } = await post(`${path}/options`, begin);
    const credential = await createPasskey(options, { isDemo: isDemo() });
    const { officer } = await post(`${path}/verify`, { session, credential });
    say(t("passkey_added"));
    showJoined(officer);
  });
});

prove?.addEventListener("click", () =>
  guarded(prove, async () => {
    say(t("signing_in"));
    const path = `${FACE}/oidc/${prove.parentElement?.dataset.step}`;
    const { session, options } = await post(`${path}/options`);
    const credential = await passkeyLogin(options, { isDemo: isDemo() });
    const { url } = await post(`${path}/verify`, { session, credential });
    location.assign(url);
  }),
);

/** @param {{officer_id: string, name: string, passkey: unknown} | undefined} officer an officer's file is for their agency */
function showJoined(officer) {
  if (officer !== undefined) offerFile(officer);
  const joined = document.getElementById("joined");
  joined?.removeAttribute("hidden");
  join?.toggleAttribute("hidden", true);
  joined?.querySelector("h2")?.focus();
}

/** @param {{officer_id: string, name: string, passkey: unknown}} officer */
function offerFile(officer) {
  const file = new Blob([`${JSON.stringify(officer, null, 2)}\n`], { type: "application/json" });
  const link = document.getElementById("officer-file");
  link?.setAttribute("href", URL.createObjectURL(file));
  link?.setAttribute("data-officer", JSON.stringify(officer));
}

void offerDemoPasskey();
