// Keeps a page of the doorbell's fresh: fetches it again now and then, and puts in what has changed.
// Focus stays where it is, nothing that was typed is lost, and a live region tells the new heading.
// Without this script the page has its plain link to load it again.
export {}; // a module of its own for the type checker

const note = /** @type {HTMLElement | null} */ (document.querySelector("[data-fresh-s]"));
const told = /** @type {HTMLElement} */ (document.querySelector("#fresh-told"));
const RETRY_S = 15;

/** @param {number} seconds */
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

const isSeen = () =>
  document.hidden
    ? new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }))
    : Promise.resolve();

/** @param {ParentNode} under */
const heading = (under) =>
  [...under.querySelectorAll("h1, .lead, [role=alert]")].map((node) => node.textContent?.trim()).join(". ");

/** @param {string} text */
function say(text) {
  if (told.textContent !== text) told.textContent = text;
}

/** A form that somebody is filling in isn't touched. @param {HTMLElement} main */
const isBusy = (main) =>
  [...main.querySelectorAll("input, textarea, select")].some(
    (field) => field === document.activeElement || /** @type {HTMLInputElement} */ (field).value !== /** @type {HTMLInputElement} */ (field).defaultValue,
  );

/** Puts the newer content in place. @param {HTMLElement} main @param {HTMLElement} newer */
function replaceContent(main, newer) {
  const focused = document.activeElement;
  const wanted = main.contains(focused) && focused?.getAttribute("href");
  const before = heading(main);
  main.replaceChildren(...[...newer.childNodes].map((node) => document.importNode(node, true)));
  if (wanted) /** @type {HTMLElement | null} */ (main.querySelector(`a[href="${CSS.escape(wanted)}"]`))?.focus();
  const after = heading(main);
  if (after !== before) say(after);
}

/** @param {HTMLElement} note @returns {Promise<boolean>} whether the page still changes by itself */
async function refresh(note) {
  const main = /** @type {HTMLElement} */ (document.querySelector("#main"));
  const url = /** @type {string} */ (note.querySelector("a")?.getAttribute("href"));
  const reply = await fetch(url, { headers: { Accept: "text/html" } });
  if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  const newer = /** @type {HTMLElement} */ (page.querySelector("#main"));
  if (isBusy(main)) return true;
  if (newer.innerHTML !== main.innerHTML) {
    replaceContent(main, newer);
    document.title = page.title;
  }
  const now = /** @type {HTMLElement | null} */ (page.querySelector("[data-fresh-s]"));
  if (now === null) note.remove();
  else note.dataset.freshS = now.dataset.freshS;
  return now !== null;
}

/** @param {HTMLElement} note */
async function keepFresh(note) {
  for (let goesOn = true; goesOn; ) {
    await pause(Number(note.dataset.freshS));
    await isSeen();
    try {
      goesOn = await refresh(note);
      if (told.textContent === note.dataset.away) say("");
    } catch {
      say(note.dataset.away ?? "");
      await pause(RETRY_S);
    }
  }
}

if (note !== null) keepFresh(note);
