/**
 * What goes before an account is deleted: the grants that nobody has fetched yet. And the receipt,
 * which stays in this window until it is closed. No page here.
 * @module
 */

/** @typedef {import("./household.js").OpenedNote} OpenedNote */
/** @typedef {{package_id: string, state: string}} PackageState as the relay says */
/** @typedef {{device: string, other_accounts: number, releases: {commitment: string, entry: number | null}[], packages: {code: string, agency: string, request_id: string, state: string, is_answered: boolean, answer_by_ms: number | null, asked_entry: number | null}[]}} StayingDoorbell */
/** @typedef {{deleted: Record<string, number>, doorbells: StayingDoorbell[]}} Preview */
/** @typedef {{device: string, digest: string}} OpenGrant */
/** @typedef {{device: string, request_digest: string}} Asked */

/** Of what is in one of these there is nothing left to withdraw. */
const OUT_OF_REACH = ["downloaded", "erasing", "erased", "not_taken"];
const KEPT = "doorward.deletion-receipt";

/**
 * The grants of this owner that can still be withdrawn before anybody fetches them: what this browser
 * signed, and, where nobody else owns the doorbell, all that the doorbell told of.
 * @param {Iterable<OpenedNote>} notes @param {PackageState[]} packages @param {Asked[]} asked
 * @param {{signedHere: (asked: Asked) => string | undefined, isAlone: (device: string) => boolean}} how
 * @returns {OpenGrant[]}
 */
export function openGrants(notes, packages, asked, { signedHere, isAlone }) {
  const states = new Map(packages.map(({ package_id, state }) => [package_id, state]));
  /** @type {Map<string, OpenGrant>} */
  const open = new Map();
  /** @type {Set<string>} */
  const closed = new Set();
  for (const one of asked) {
    const digest = signedHere(one);
    if (digest !== undefined) open.set(digest, { device: one.device, digest });
  }
  for (const { note } of notes) {
    const { device, body } = note;
    if (body.type === "statement_refused") closed.add(body.statement_digest);
    if (body.type === "statement_done" && body.kind === "revoke" && body.about) closed.add(body.about);
    if (body.type !== "released") continue;
    const { statement_digest: digest, package_id } = body;
    if (OUT_OF_REACH.includes(states.get(package_id) ?? "")) closed.add(digest);
    else if (isAlone(device)) open.set(digest, { device, digest });
  }
  return [...open.values()].filter(({ digest }) => !closed.has(digest));
}

/** Keeps the receipt while this window lives. @param {Record<string, unknown>} receipt */
export function keepReceipt(receipt) {
  sessionStorage.setItem(KEPT, `${JSON.stringify(receipt, null, 1)}\n`);
}

/** @returns {string | null} as a file has it */
export function keptReceipt() {
  return sessionStorage.getItem(KEPT);
}
