/**
 * The page of what neighbours tell: the district's posts day by day. What is shown of them by kind
 * and by distance is chosen in this browser; the relay gives everybody of a district the same.
 * @module
 */
import { chips, empty } from "../components/controls.js";
import { fill, h, skeleton } from "../dom.js";
import { Feed, FeedPictures, KINDS } from "../feed.js";
import { distanceM, ownCell, rememberOwnCell } from "../feed_cells.js";
import { dayStart, nextDay } from "../history_days.js";
import { fullDayText, t, timeText } from "../i18n.js";
import { DayList } from "./day_list.js";
import { legalNotices } from "./legal_notices.js";
import { byTag, postBody, postPicture } from "./neighbour_post.js";
import { problem } from "./parts.js";
import { PlaceFinder } from "./place_finder.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../feed.js").Post} Post */
/** @typedef {import("../feed.js").District} District */
/** @typedef {import("../feed.js").Kind} Kind */
/** @typedef {{post: Post, ms: number}} Entry */

/** Where the list ends is looked for so far below the screen. */
const AHEAD = "1500px 0px";
/** From middle to middle of cells of which one is about a kilometre wide. */
const DISTANCES_M = [600, 1200, 2500];
const FEW_KM = 10;

/** @param {Context} context */
export function neighboursPage(context) {
  return { title: t("neighbours.title"), body: new NeighbourList(context).nodes };
}

/** The ways from here: to write, to one's own posts, and to what is followed. */
function ways() {
  return h(
    "div",
    { class: "actions" },
    h("a", { class: "button primary", id: "write-post", href: "#/neighbours/write" }, t("neighbours.write")),
    h("a", { class: "button", id: "my-posts", href: "#/neighbours/mine" }, t("neighbours.mine")),
    h("a", { class: "button", id: "follow", href: "#/neighbours/follow" }, t("neighbours.follow")),
  );
}

/** A report counts on the theft map, in a district or in none. */
function reportTheft() {
  return h("p", { class: "muted" }, h("a", { id: "to-theft", href: "#/theft" }, t("theft.title")), ` · ${t("theft.more")}`);
}

class NeighbourList {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.feed = new Feed(context.relay);
    this.pictures = new FeedPictures(this.feed, context.left);
    this.kinds = new Set(KINDS.filter((kind) => context.query.getAll("show").includes(kind)));
    this.withinM = 0;
    this.own = ownCell(context.household);
    /** @type {District | undefined} */
    this.district = undefined;
    /** @type {Post[]} newest first */
    this.posts = [];
    this.hasMore = false;
    this.isFresh = false;
    this.isReading = false;
    this.isNear = false;
    /** @type {DayList<Entry>} */
    this.list = new DayList(
      { head: ({ start }) => ({ nodes: [h("h2", {}, fullDayText(start))], show: () => {} }), row: ({ post }) => this.#row(post), mark: ({ post }) => post.id },
      context.left,
    );
    this.head = h("div");
    this.legal = h("div", { id: "legal-notices", "aria-live": "polite" });
    this.filters = h("div");
    this.place = h("div");
    this.state = h("div", { id: "neighbours-state" }, skeleton(4));
    this.foot = h("div", { id: "neighbours-end", "aria-live": "polite" });
    this.nodes = [this.legal, this.head, reportTheft(), this.filters, this.place, this.state, this.list.node, this.foot];
    const end = new IntersectionObserver((seen) => {
      this.isNear = seen[seen.length - 1].isIntersecting;
      if (this.isNear) void this.#readOlder();
    }, { rootMargin: AHEAD });
    end.observe(this.foot);
    context.left.addEventListener("abort", () => end.disconnect());
    context.household.addEventListener("contact", () => context.household.hasContact && !this.isFresh && void this.#load(), { signal: context.left });
    void this.#load();
    void this.#showLegal();
  }

  /** Nobody needs to look at their own posts to learn of legal process about them. */
  async #showLegal() {
    try {
      const { notices } = await this.feed.mine();
      if (!this.context.left.aborted) fill(this.legal, legalNotices(notices));
    } catch (error) {
      console.warn("legal notices", error);
    }
  }

  async #load() {
    try {
      await this.#readFirst();
    } catch (error) {
      console.warn("neighbours", error);
      if (this.context.left.aborted) return;
      const again = h("button", { id: "neighbours-again", onclick: () => void this.#load() }, t("error.again"));
      fill(this.state, problem(error), again);
    }
  }

  async #readFirst() {
    const { feed } = this;
    const [districts, membership] = await Promise.all([feed.districts(), feed.membership()]);
    if (this.context.left.aborted) return;
    if (districts.length === 0) return fill(this.state, empty(t("neighbours.no_districts"), { icon: "neighbours" }));
    this.district = districts.find(({ id }) => id === membership);
    if (this.district === undefined) {
      const action = h("a", { class: "button primary", id: "choose-district", href: "#/neighbours/follow" }, t("neighbours.choose_district"));
      return fill(this.state, empty(t("neighbours.no_district"), { icon: "neighbours", action }));
    }
    const page = await feed.knownPosts(this.district.id);
    if (!this.context.left.aborted) this.#show(page, this.district);
  }

  /** @param {import("../feed.js").Page} page @param {District} district */
  #show({ posts, hasMore, asOfMs }, district) {
    this.isFresh = asOfMs === 0;
    this.posts = posts;
    this.hasMore = hasMore;
    const asOf = asOfMs > 0 && h("p", { class: "notice", id: "as-of", role: "status" }, t("neighbours.as_of", { time: timeText(asOfMs) }));
    fill(this.head, h("p", { class: "lead" }, t("neighbours.lead", { district: district.name })), ways(), asOf);
    this.#drawFilters();
    this.#draw();
  }

  #drawFilters() {
    const kinds = chips(
      KINDS.map((kind) => ({ id: `only-${kind}`, text: t(`neighbours.kind.${kind}`), isOn: this.kinds.has(kind) })),
      (id, isOn) => {
        const kind = /** @type {Kind} */ (id.replace("only-", ""));
        if (isOn) this.kinds.add(kind);
        else this.kinds.delete(kind);
        const query = [...this.kinds].map((one) => `show=${one}`).join("&");
        history.replaceState(null, "", `#/neighbours${query && `?${query}`}`);
        this.#draw();
      },
      t("neighbours.kinds"),
    );
    const options = [0, ...DISTANCES_M].map((metres) => h("option", { value: metres, selected: metres === this.withinM }, metres === 0 ? t("neighbours.everywhere") : t("neighbours.within", { distance: lengthText(metres) })));
    const select = h("select", { id: "within" }, options);
    select.addEventListener("change", () => this.#within(Number(select.value)));
    const isOpen = this.kinds.size > 0 || this.withinM > 0;
    fill(this.filters, h("details", { id: "choose-shown", open: isOpen }, h("summary", {}, t("neighbours.choose_shown")), kinds, h("label", { for: select.id }, t("neighbours.distance")), select));
  }

  /** @param {number} metres 0: everywhere */
  #within(metres) {
    this.withinM = metres;
    if (metres === 0 || this.own !== null) {
      fill(this.place);
      return this.#draw();
    }
    const finder = new PlaceFinder(this.context.left, (cell) => {
      rememberOwnCell(this.context.household, cell);
      this.own = cell;
      fill(this.place);
      this.#draw();
    });
    fill(this.place, h("p", { class: "notice", id: "place-wanted" }, t("neighbours.place_wanted")), finder.node);
    this.#draw();
  }

  #draw() {
    const shown = this.posts.filter((post) => this.#isShown(post));
    this.list.update(daysOf(shown));
    fill(this.state, shown.length === 0 && !this.hasMore && this.#nothing());
    if (this.isReading) return;
    fill(this.foot, this.hasMore ? skeleton(2) : shown.length > 0 && h("p", { class: "muted" }, t("neighbours.end")));
    if (this.hasMore && (this.isNear || shown.length === 0)) void this.#readOlder();
  }

  /** @param {Post} post */
  #isShown({ kind, cell }) {
    if (this.kinds.size > 0 && !this.kinds.has(kind)) return false;
    return this.withinM === 0 || this.own === null || distanceM(cell, this.own) <= this.withinM;
  }

  #nothing() {
    if (this.posts.length === 0) return empty(t("neighbours.none"), { icon: "neighbours" });
    const reset = h("button", { id: "show-all", onclick: () => this.#showAll() }, t("neighbours.show_all"));
    return empty(t("neighbours.none_of_these"), { icon: "neighbours", action: reset });
  }

  #showAll() {
    this.kinds.clear();
    this.withinM = 0;
    history.replaceState(null, "", "#/neighbours");
    fill(this.place);
    this.#drawFilters();
    this.#draw();
    document.getElementById("within")?.focus();
  }

  async #readOlder() {
    const last = this.posts.at(-1);
    if (this.isReading || !this.hasMore || this.district === undefined || last === undefined) return;
    this.isReading = true;
    fill(this.foot, skeleton(2));
    try {
      const { posts, hasMore } = await this.feed.posts(this.district.id, last.id);
      const known = new Set(this.posts.map(({ id }) => id));
      this.posts = [...this.posts, ...posts.filter(({ id }) => !known.has(id))];
      this.hasMore = hasMore && posts.length > 0;
      this.isReading = false;
      if (!this.context.left.aborted) this.#draw();
    } catch (error) {
      this.isReading = false;
      console.warn("older posts", error);
      const again = h("button", { id: "older", onclick: () => void this.#readOlder() }, t("error.again"));
      fill(this.foot, problem(error), again);
    }
  }

  /** @param {Post} post */
  #row(post) {
    const kind = t(`neighbours.kind.${post.kind}`);
    const far = this.own !== null && t("neighbours.away", { distance: lengthText(distanceM(post.cell, this.own)) });
    const isGuest = this.context.household.isGuest;
    const request = post.request !== null && (isGuest ? new URL(`/requests/${post.request}`, this.context.relayUrl).href : `#/requests/${post.request}`);
    return h(
      "li",
      { class: "post", "data-kind": post.kind, "data-by": post.by, "data-post": post.id },
      postBody(post, this.district, {
        title: [byTag(post), post.is_urgent ? h("span", { class: "tag urgent" }, t("neighbours.urgent")) : null].filter((one) => one !== null),
        more: [far],
        pictures: post.pictures.map((id) => postPicture(id, this.pictures, t("neighbours.picture.of", { kind }))),
      }),
      request && h("p", {}, h("a", { href: request }, t("neighbours.request"))),
    );
  }
}

/** @param {Post[]} posts newest first */
function daysOf(posts) {
  /** @type {{start: number, end: number, entries: Entry[]}[]} */
  const days = [];
  for (const post of posts) {
    const start = dayStart(post.published_ms);
    if (days.at(-1)?.start !== start) days.push({ start, end: nextDay(start), entries: [] });
    days[days.length - 1].entries.push({ post, ms: post.published_ms });
  }
  return days;
}

/** "600 m" or "1.2 km". @param {number} metres */
function lengthText(metres) {
  const km = metres / 1000;
  const digits = km < FEW_KM ? 1 : 0;
  if (metres < 1000) return t("neighbours.metres", { metres: Math.round(metres / 100) * 100 });
  return t("neighbours.kilometres", { kilometres: km.toLocaleString(document.documentElement.lang, { maximumFractionDigits: digits }) });
}
