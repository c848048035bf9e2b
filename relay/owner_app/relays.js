/**
 * The relays that this app may be for: whoever serves it names them, and none else is asked.
 *
 * One operator's doorbells can be at several (shards), each with accounts of its own. The app is
 * for one at a time; who is signed in at another stays so.
 * @module
 */

const CHOSEN = "doorward.relay";

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
