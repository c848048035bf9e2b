/**
 * The page on which a neighbour writes a post, a step at a time: what kind, what happened, where,
 * when, pictures, and what others will see of it. Nothing is uploaded before the last step.
 *
 * Which step it is stands in the browser's history, so that its Back leads a step back; an address
 * alone leads to the first. What is written stays in this window until it is sent.
 * @module
 */
import { empty } from "../components/controls.js";
import { fill, h } from "../dom.js";
import { draftOf, forgetDraft, hasOffered, takeOffered } from "../feed_draft.js";
import { Feed, HOUR_MS, MAX_AGE_MS, MAX_PICTURES, MAX_TEXT_CHARS, MIN_TEXT_CHARS, NEIGHBOURS_KINDS } from "../feed.js";
import { cellAround, ownCell } from "../feed_cells.js";
import { dayStart, nextDay } from "../history_days.js";
import { clockSpanText, fullDayText, t } from "../i18n.js";
import { MAX_SIDE_PX, readPicture } from "../painted_picture.js";
import { nowMs } from "../town_time.js";
import { isBlank, withoutMisleading } from "../vendor/protocol/plain_text.js";
import { cellChoice } from "./cell_choice.js";
import { feedGuarded } from "./feed_problem.js";
import { postBody } from "./neighbour_post.js";
import { PictureEditor } from "./picture_editor.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../feed.js").District} District */
/** @typedef {import("../feed.js").Kind} Kind */
/** @typedef {typeof STEPS[number]} Step */

const STEPS = /** @type {const} */ (["kind", "text", "where", "when", "pictures", "preview"]);
const MAX_FILE_BYTES = 40 * 1024 * 1024;

/** @param {Context} context */
export async function writePage(context) {
  const title = t("neighbours.write");
  const feed = new Feed(context.relay);
  const [districts, membership] = await Promise.all([feed.districts(), feed.membership()]);
  const district = districts.find(({ id }) => id === membership);
  if (district !== undefined) return { title, body: [new Composer(context, feed, district).node] };
  const isNone = districts.length === 0;
  const action = isNone ? undefined : h("a", { class: "button primary", id: "choose-district", href: "#/neighbours/follow" }, t("neighbours.choose_district"));
  return { title, body: [empty(t(isNone ? "neighbours.no_districts" : "neighbours.no_district"), { icon: "neighbours", action })] };
}

class Composer {
  /** @param {Context} context @param {Feed} feed @param {District} district */
  constructor(context, feed, district) {
    this.context = context;
    this.feed = feed;
    this.district = district;
    this.draft = draftOf(context.household.owner.credential_id);
    this.around = cellAround(district, ownCell(context.household));
    if (!district.cells.includes(this.draft.cell)) this.draft.cell = district.cells.length === 1 ? district.cells[0] : "";
    this.node = h("section", { class: "screen", id: "composer" });
    /** @type {Map<import("../feed_draft.js").PaintedPicture, string>} ids of those uploaded already: sending may be tried again */
    this.uploaded = new Map();
    addEventListener("popstate", () => this.node.isConnected && this.#show(stepOf(history.state)), { signal: context.left });
    this.#show(stepOf(history.state));
  }

  /** @param {number} wanted */
  #show(wanted) {
    const at = Math.min(wanted, this.#firstOpen());
    const step = STEPS[at];
    this.node.dataset.step = step;
    this.said = h("div", { "aria-live": "polite" });
    const heading = h("h2", { tabindex: -1 }, t(`neighbours.step.${step}`));
    const back = h("button", { class: "quiet", id: "back", onclick: () => history.back() }, t("neighbours.step_back"));
    const place = h("p", { class: "muted at" }, t("neighbours.step_at", { step: at + 1, all: STEPS.length }), at > 0 && back);
    fill(this.node, place, heading, this.#content(step), this.said);
    if (at > 0) heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  /** The first step that isn't answered: one may go no further. */
  #firstOpen() {
    const { kind, text, cell, hourMs } = this.draft;
    const isAnswered = [kind !== "", textProblem(text) === "", cell !== "", hourMs > 0];
    const open = isAnswered.indexOf(false);
    return open === -1 ? STEPS.length - 1 : open;
  }

  #next() {
    const at = STEPS.indexOf(/** @type {Step} */ (this.node.dataset.step)) + 1;
    history.pushState({ step: at }, "");
    this.#show(at);
  }

  /** @param {Step} step @returns {(Node | false)[]} */
  #content(step) {
    switch (step) {
      case "kind":
        return this.#kind();
      case "text":
        return this.#text();
      case "where":
        return this.#where();
      case "when":
        return this.#when();
      case "pictures":
        return this.#pictures();
      case "preview":
        return this.#preview();
    }
  }

  /** @param {() => string} problemNow @returns {Node} */
  #onward(problemNow) {
    const go = () => {
      const why = problemNow();
      if (why === "") return this.#next();
      fill(/** @type {HTMLElement} */ (this.said), h("p", { class: "warn-text", role: "alert", id: "step-problem" }, why));
    };
    return h("div", { class: "actions" }, h("button", { type: "button", class: "primary", id: "next", onclick: go }, t("neighbours.next")));
  }

  #kind() {
    const choices = NEIGHBOURS_KINDS.map((kind) => {
      const input = h("input", { type: "radio", name: "kind", value: kind, checked: kind === this.draft.kind, onchange: () => (this.draft.kind = kind) });
      return h("label", {}, input, h("span", {}, t(`neighbours.kind.${kind}`), h("span", { class: "muted below" }, t(`neighbours.kind.${kind}.what`))));
    });
    return [
      h("p", {}, t("neighbours.write.lead", { district: this.district.name })),
      h("p", { class: "notice" }, t("neighbours.write.danger")),
      hasOffered() && h("p", { class: "notice", id: "frame-waits" }, t("neighbours.write.frame_waits")),
      h("fieldset", { id: "kinds" }, h("legend", { class: "visually-hidden" }, t("neighbours.step.kind")), choices),
      this.#onward(() => (this.draft.kind === "" ? t("neighbours.kind.needed") : "")),
    ];
  }

  #text() {
    const count = h("p", { class: "hint", id: "text-count" });
    const field = h("textarea", { id: "post-text", rows: 6, "aria-describedby": "text-help text-count" });
    field.value = this.draft.text;
    const look = () => {
      this.draft.text = withoutMisleading(field.value).replaceAll("\r\n", "\n").trim();
      fill(count, t("neighbours.text.count", { count: [...this.draft.text].length, most: MAX_TEXT_CHARS }));
    };
    field.addEventListener("input", look);
    look();
    return [
      h("p", { class: "lead" }, t("neighbours.text.act")),
      h(
        "div",
        { class: "beside", id: "text-help" },
        h("div", {}, h("h3", {}, t("neighbours.text.so")), h("p", { class: "example-text good" }, t(`neighbours.text.so.${this.draft.kind === "lost" || this.draft.kind === "found" ? "found" : "taken"}`))),
        h("div", {}, h("h3", {}, t("neighbours.text.not_so")), h("p", { class: "example-text" }, t("neighbours.text.not_so.example"))),
      ),
      h("p", {}, t("neighbours.text.leave_out")),
      h("label", { for: field.id }, t("neighbours.step.text")),
      field,
      count,
      this.#onward(() => textProblem(this.draft.text)),
    ];
  }

  #where() {
    const { cells, name } = this.district;
    const choice = cells.length > 1 && cellChoice(this.district, { chosen: this.draft.cell, around: this.around, onchange: (cell) => (this.draft.cell = cell) });
    return [
      h("p", {}, t(cells.length > 1 ? "neighbours.where.lead" : "neighbours.where.one", { district: name })),
      choice,
      this.#onward(() => (this.draft.cell === "" ? t("neighbours.where.needed") : "")),
    ];
  }

  #when() {
    const now = nowMs();
    const days = daysBack(now);
    const chosen = this.draft.hourMs > now - MAX_AGE_MS ? this.draft.hourMs : floored(now);
    const day = h("select", { id: "post-day" }, days.map((start) => h("option", { value: start, selected: start === dayStart(chosen) }, fullDayText(start))));
    const hour = h("select", { id: "post-hour" });
    const fillHours = (/** @type {number} */ wanted) => {
      const hours = hoursOn(Number(day.value), now);
      const nearest = hours.includes(wanted) ? wanted : hours[hours.length - 1];
      fill(hour, hours.map((ms) => h("option", { value: ms, selected: ms === nearest }, clockSpanText(ms, ms + HOUR_MS))));
      this.draft.hourMs = nearest;
    };
    day.addEventListener("change", () => fillHours(this.draft.hourMs));
    hour.addEventListener("change", () => (this.draft.hourMs = Number(hour.value)));
    fillHours(chosen);
    return [
      h("p", {}, t("neighbours.when.lead")),
      h("div", { class: "pair" }, h("div", {}, h("label", { for: day.id }, t("neighbours.when.day")), day), h("div", {}, h("label", { for: hour.id }, t("neighbours.when.hour")), hour)),
      this.#onward(() => ""),
    ];
  }

  #pictures() {
    const place = h("div");
    const problems = h("div", { "aria-live": "polite" });
    const draw = () => {
      const { pictures } = this.draft;
      const file = h("input", { type: "file", id: "picture-file", accept: "image/jpeg,image/png,image/webp", "aria-describedby": "picture-help" });
      file.addEventListener("change", () => file.files?.[0] && void edit(file.files[0]));
      fill(
        place,
        h("p", {}, t("neighbours.pictures.lead")),
        pictures.length > 0 && h("ul", { class: "post-pictures", id: "chosen-pictures" }, pictures.map((one, at) => this.#chosen(one, at, draw))),
        pictures.length < MAX_PICTURES && [h("label", { for: file.id }, t("neighbours.pictures.file")), file, h("p", { class: "hint", id: "picture-help" }, t("neighbours.pictures.help", { most: MAX_PICTURES, side: MAX_SIDE_PX }))],
        problems,
        this.#onward(() => ""),
      );
    };
    const edit = async (/** @type {Blob} */ file) => {
      fill(problems);
      try {
        if (file.size > MAX_FILE_BYTES) throw new Error("a file that is too large");
        const source = await readPicture(file);
        const editor = new PictureEditor(source, {
          onDone: (jpeg) => {
            this.draft.pictures.push({ jpeg, url: URL.createObjectURL(jpeg) });
            draw();
            document.getElementById("next")?.focus();
          },
          onLeave: draw,
        });
        fill(place, editor.node);
        editor.node.querySelector("h3")?.focus();
      } catch (error) {
        console.warn("no picture", error);
        draw();
        fill(problems, h("p", { class: "warn-text", role: "alert", id: "picture-problem" }, t("neighbours.pictures.unreadable")));
      }
    };
    draw();
    const frame = this.draft.pictures.length < MAX_PICTURES ? takeOffered() : null;
    if (frame !== null) void edit(frame);
    return [place];
  }

  /** @param {import("../feed_draft.js").PaintedPicture} one @param {number} at @param {() => void} draw */
  #chosen(one, at, draw) {
    const remove = () => {
      this.draft.pictures.splice(at, 1);
      URL.revokeObjectURL(one.url);
      draw();
    };
    const label = t("neighbours.pictures.remove_label", { number: at + 1 });
    return h("li", {}, h("img", { src: one.url, alt: t("neighbours.pictures.chosen", { number: at + 1 }) }), h("button", { type: "button", "aria-label": label, onclick: remove }, t("neighbours.picture.remove")));
  }

  #preview() {
    const { kind, cell, text, hourMs, pictures } = this.draft;
    const told = { id: "", kind: /** @type {Kind} */ (kind), cell, text, hour_ms: hourMs, pictures: [] };
    const shown = pictures.map(({ url }, at) => h("img", { src: url, alt: t("neighbours.pictures.chosen", { number: at + 1 }) }));
    const send = feedGuarded(/** @type {HTMLElement} */ (this.said), () => this.#send());
    return [
      h("p", {}, t("neighbours.preview.lead")),
      h("div", { class: "post preview", id: "preview" }, postBody(told, this.district, { pictures: shown })),
      h("ul", {}, ["name", "relay", "moderator", "days"].map((key) => h("li", {}, t(`neighbours.preview.${key}`)))),
      h("div", { class: "actions" }, h("button", { type: "button", class: "primary", id: "send-post", onclick: send }, t("neighbours.send"))),
    ];
  }

  async #send() {
    const { kind, cell, text, hourMs, pictures } = this.draft;
    for (const one of pictures) {
      if (!this.uploaded.has(one)) this.uploaded.set(one, await this.feed.upload(one.jpeg));
    }
    const ids = pictures.map((one) => /** @type {string} */ (this.uploaded.get(one)));
    await this.feed.send({ kind: /** @type {Kind} */ (kind), cell, hour_ms: hourMs, text, pictures: ids });
    forgetDraft();
    history.replaceState({ step: 0 }, "");
    const heading = h("h2", { tabindex: -1 }, t("neighbours.sent"));
    this.node.dataset.step = "sent";
    fill(
      this.node,
      h("div", { id: "post-sent", role: "status" }, heading, h("p", { class: "lead" }, t("neighbours.sent.moderator")), h("p", {}, t("neighbours.sent.help"))),
      h("div", { class: "actions" }, h("a", { class: "button primary", href: "#/neighbours/mine" }, t("neighbours.mine")), h("a", { class: "button", href: "#/neighbours" }, t("neighbours.back"))),
    );
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

/** @param {any} state of the browser's history */
function stepOf(state) {
  const step = state?.step;
  return Number.isInteger(step) && step >= 0 && step < STEPS.length ? step : 0;
}

/** Says what is wrong with a text; "" if nothing is. @param {string} text */
function textProblem(text) {
  const count = [...text].length;
  if (isBlank(text) || count < MIN_TEXT_CHARS) return t("neighbours.text.too_short", { least: MIN_TEXT_CHARS });
  return count > MAX_TEXT_CHARS ? t("neighbours.text.too_long", { count, most: MAX_TEXT_CHARS }) : "";
}

/** The start of the hour in which something was, which is all that is told of when. @param {number} ms */
export function floored(ms) {
  return ms - (ms % HOUR_MS);
}

/** The starts of the days of which one may tell, the newest first. @param {number} now */
function daysBack(now) {
  const days = [];
  for (let start = dayStart(now); nextDay(start) > now - MAX_AGE_MS + HOUR_MS; start = dayStart(start - HOUR_MS)) days.push(start);
  return days;
}

/** The hours of a day of which one may tell: not to come, and not too long ago. @param {number} start @param {number} now */
export function hoursOn(start, now) {
  const hours = [];
  for (let ms = floored(start); ms < nextDay(start); ms += HOUR_MS) {
    if (ms >= start && ms <= now && ms > now - MAX_AGE_MS) hours.push(ms);
  }
  return hours;
}
