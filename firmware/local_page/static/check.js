// Keeps the check page fresh: figures twice a second, the picture as fast as it comes. Without it the
// page shows what was so when it was loaded, and its forms work all the same.

/** @typedef {{check: string, mark: string, word: string, says: string, does: string, is_asked: boolean}} Finding */
/** @typedef {{left: string, checks: Finding[], sharpness: number | null, best: number | null, loudness: number | null}} Now */

const FIGURES_EVERY_MS = 500;
const PICTURE_PAUSE_MS = 80;
const PICTURE_RETRY_MS = 1000;
const JSON_ONLY = { Accept: "application/json" };
/** Aborted once the person has ended the check: nothing more is asked for. */
const leaving = new AbortController();

/** @param {string} selector @param {ParentNode} [under] */
const find = (selector, under = document) => /** @type {HTMLElement} */ (under.querySelector(selector));

/** @param {number} ms */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const isSeen = () =>
  document.hidden
    ? new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }))
    : Promise.resolve();

/** @param {HTMLElement} node @param {string} text */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Finding} finding */
function showFinding(finding) {
  const item = find(`#check-${finding.check}`);
  const isNew = item.dataset.mark !== finding.mark;
  item.dataset.mark = finding.mark;
  say(find(".verdict", item), finding.word);
  say(find(".says", item), finding.says);
  const does = find(".does", item);
  say(does, finding.does);
  does.hidden = !finding.does;
  const answer = item.querySelector("form.answer");
  if (answer instanceof HTMLElement) answer.hidden = !finding.is_asked;
  if (isNew) say(find("#told"), `${find("h2", item).textContent}: ${finding.word}`);
}

/** @param {string} id @param {number | null} value @param {number | null} [max] */
function showBar(id, value, max) {
  const bar = document.getElementById(id);
  if (!(bar instanceof HTMLMeterElement) || value === null) return;
  if (max) bar.max = max;
  bar.value = value;
}

async function showFigures() {
  const asked = { headers: JSON_ONLY, signal: leaving.signal };
  const reply = await fetch(`/check/now?at=${Date.now()}`, asked);
  if (reply.status === 403) location.reload();
  if (!reply.ok) return;
  /** @type {Now} */
  const now = await reply.json();
  say(find("#left"), now.left);
  now.checks.forEach(showFinding);
  showBar("sharpness", now.sharpness, now.best);
  showBar("loudness", now.loudness);
}

/** @param {SubmitEvent} event */
async function submit(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement)) return;
  if (form.action.endsWith("/check/end")) {
    leaving.abort();
    return;
  }
  event.preventDefault();
  const fields = [...new FormData(form, event.submitter)].map(([name, value]) => [name, `${value}`]);
  const body = fields.length ? new URLSearchParams(fields) : null;
  const button = /** @type {HTMLButtonElement} */ (event.submitter);
  button.setAttribute("aria-disabled", "true");
  const reply = await fetch(form.action, { method: "POST", headers: JSON_ONLY, body });
  button.removeAttribute("aria-disabled");
  const refused = find(".refused");
  refused.hidden = reply.ok;
  if (!reply.ok) say(refused, (await reply.json()).error);
  await showFigures();
}

async function keepFigures() {
  while (!leaving.signal.aborted) {
    await isSeen();
    await showFigures().catch(() => {}); // the doorbell is away: it is asked again
    await pause(FIGURES_EVERY_MS);
  }
}

/** @param {HTMLImageElement} next */
function replacePicture(next) {
  const shown = /** @type {HTMLImageElement} */ (find("#picture"));
  next.id = shown.id;
  next.alt = shown.alt;
  shown.replaceWith(next);
}

async function keepPicture() {
  for (let count = 1; !leaving.signal.aborted; count += 1) {
    await isSeen();
    const next = new Image();
    leaving.signal.onabort = () => next.removeAttribute("src");
    next.src = `/check/picture.jpg?n=${count}`;
    const isThere = await next.decode().then(
      () => true,
      () => false,
    );
    if (isThere) replacePicture(next);
    await pause(isThere ? PICTURE_PAUSE_MS : PICTURE_RETRY_MS);
  }
}

const printer = find("#print");
printer.hidden = false;
printer.addEventListener("click", () => print());
document.addEventListener("submit", submit);
void keepFigures();
void keepPicture();
