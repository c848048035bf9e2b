/**
 * The relays that this app may be for: whoever serves it names them, and none else is asked.
 *
 * One operator's doorbells can be at several (shards), each with accounts of its own. The app is
 * for one at a time; who is signed in at another stays so. Where there is one relay, and nothing is
 * kept of another, none of this is loaded.
 * @module
 */
import { readJson, storedAt } from "./account.js";
import { Relay } from "./api.js";
import { NoteStore, forgetNotes } from "./note_store.js";
import { forgetWorkerStore, readPush, writePush } from "./worker_store.js";

/** Where the account was while there was one relay. */
const BEFORE = "doorward.account";
const CHOSEN = "doorward.relay";
/** Those that the app was for when there were several. */
const NAMED = "doorward.relays";
const ASK_WITHIN_MS = 15_000;

/** A link leads to a relay that this app isn't for. */
export class UnknownRelay extends Error {
  /** @param {string} relay */
  constructor(relay) {
    super(`this app isn't for ${relay}`);
    this.relay = relay;
  }
}

/** A relay that was to be opened doesn't say what it is. */
export class RelayUnreachable extends Error {
  /** @param {string} relay @param {unknown} cause */
  constructor(relay, cause) {
    super(`${relay} doesn't answer`, { cause });
    this.relay = relay;
  }
}

/** The relay that was chosen in this browser, also before anybody has said which there are. @returns {string | null} */
export function chosenRelay() {
  return localStorage.getItem(CHOSEN);
}

/**
 * The relay to ask: the one that was chosen, if it is still named; else the first.
 * @param {string[]} relays
 */
export function relayOf(relays) {
  const chosen = chosenRelay();
  if (chosen !== null && relays.includes(chosen)) return chosen;
  localStorage.removeItem(CHOSEN);
  return relays[0];
}

/** @param {string[]} relays @param {string} relay one of them */
export function chooseRelay(relays, relay) {
  if (relay === relays[0]) localStorage.removeItem(CHOSEN);
  else localStorage.setItem(CHOSEN, relay);
}

/**
 * Chooses a relay once it has said what it is, which is kept: so the app starts there, whatever
 * becomes of it then. @param {string[]} relays @param {string} relay one of them
 */
export async function chooseOnceAsked(relays, relay) {
  try {
    localStorage.setItem(saidBy(relay), JSON.stringify(await ask(relay)));
  } catch (error) {
    throw new RelayUnreachable(relay, error);
  }
  chooseRelay(relays, relay);
}

/** Where it is kept what a relay says of itself (app.js). @param {string} relay */
const saidBy = (relay) => `${CHOSEN}.${relay}`;

/** What a relay says of itself; nobody's token is sent. @param {string} relay @returns {Promise<import("./app.js").RelayConfig>} */
function ask(relay) {
  return new Relay(relay).get("config", { signal: AbortSignal.timeout(ASK_WITHIN_MS) });
}

/**
 * Whether a relay is the one that was at another address: else a program on one's own machine, which
 * serves the app for one relay and then for another, would give the second what the first gave out.
 * @param {string} relay @param {string} former
 */
async function saysTheSame(relay, former) {
  const before = readJson(saidBy(former));
  if (before === null) return false;
  const now = await ask(relay).catch(() => null);
  return now !== null && now.relay_name === before.relay_name && now.owner_origin === before.owner_origin && now.owner_rp_id === before.owner_rp_id;
}

/**
 * The relay at which the app starts: the one that the address names, which is chosen from then on,
 * else the one to ask. Nothing is sent to one that isn't named.
 * @param {string[]} relays @param {string | null} linked by the address; null: it names none
 */
export async function relayToOpen(relays, linked) {
  if (linked !== null && !relays.includes(linked)) throw new UnknownRelay(linked);
  await keepWhatWasStored(relays);
  if (linked !== null && linked !== relayOf(relays)) await chooseOnceAsked(relays, linked);
  return relayOf(relays);
}

/**
 * Gives the first relay what a version for one relay stored, unless somebody signed in there since;
 * and the only one the account that is kept under its former address. A relay that was named beside
 * others isn't such an address.
 * @param {string[]} relays
 */
async function keepWhatWasStored(relays) {
  const [first, ...others] = relays;
  rename(BEFORE, storedAt(first));
  if (others.length > 0) return localStorage.setItem(NAMED, JSON.stringify(relays));
  const stored = Object.keys(localStorage).filter((key) => key.startsWith(storedAt("")));
  const [former] = stored.map((key) => key.slice(storedAt("").length));
  if (stored.length !== 1 || former === first || readJson(NAMED)?.includes(former)) return;
  /** @type {import("./account.js").Account | null} */
  const account = readJson(storedAt(former));
  if (account === null || !(await saysTheSame(first, former))) return;
  rename(storedAt(former), storedAt(first));
  await moveKept(account.owner.credential_id, former, first).catch((error) => console.warn("what was kept", error));
}

/** @param {string} from its value goes, also where there is one already @param {string} to */
function rename(from, to) {
  const value = localStorage.getItem(from);
  if (value !== null && localStorage.getItem(to) === null) localStorage.setItem(to, value);
  localStorage.removeItem(from);
}

/** Notes, and the notifications that are on. @param {string} credentialId @param {string} from @param {string} to */
async function moveKept(credentialId, from, to) {
  const [before, after] = [from, to].map((relay) => new Relay(relay).base);
  const notes = new NoteStore(credentialId, before);
  await notes.read();
  notes.relay = after;
  await notes.write();
  await forgetNotes(credentialId, before);
  const push = await readPush(from);
  await forgetWorkerStore(from);
  if (push !== undefined) await writePush(to, push);
}
