/**
 * The page on which somebody chooses their district, and what they want to be told of it. Nothing
 * is followed before it is chosen here, and the relay learns no place finer than the district.
 * @module
 */
import { empty, segmented, switchBox } from "../components/controls.js";
import { rows } from "../components/rows.js";
import { fill, h } from "../dom.js";
import { Feed } from "../feed.js";
import { districtAround, ownCell, rememberOwnCell } from "../feed_cells.js";
import { writeFeedChoice } from "../feed_choice.js";
import { GROUPS, WAYS, followingOf } from "../feed_topics.js";
import { t } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { readPush } from "../worker_store.js";
import { feedGuarded } from "./feed_problem.js";
import { PlaceFinder } from "./place_finder.js";
import { labelled, minuteOf, timeField, zoneHere } from "./time_fields.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../feed.js").District} District */
/** @typedef {import("../feed_topics.js").Following} Following */

/** @param {Context} context */
export async function followPage(context) {
  const feed = new Feed(context.relay);
  const title = t("neighbours.follow");
  const [districts, membership, following] = await Promise.all([feed.districts(), feed.membership(), context.relay.get("feed/following").then(followingOf)]);
  if (districts.length === 0) return { title, body: [empty(t("neighbours.no_districts"), { icon: "neighbours" })] };
  const district = districts.find(({ id }) => id === membership);
  const isPushOn = (await readPush(context.relayUrl)) !== undefined;
  return {
    title,
    body: [
      districtSection(context, feed, { districts, district }),
      district !== undefined && new FollowForm(context, district, following, isPushOn).node,
      h("p", {}, h("a", { href: "#/neighbours" }, t("neighbours.back"))),
    ].filter((node) => node !== false),
  };
}

/** @param {Context} context @param {Feed} feed @param {{districts: District[], district: District | undefined}} known */
function districtSection(context, feed, { districts, district }) {
  const said = h("div", { "aria-live": "polite", id: "district-said" });
  const hint = h("div");
  const byName = [...districts].sort((a, b) => a.name.localeCompare(b.name));
  const options = byName.map(({ id, name }) => h("option", { value: id, selected: id === district?.id }, name));
  const select = h("select", { id: "district", required: true }, h("option", { value: "" }, t("neighbours.district.choose")), options);
  const suggest = (/** @type {string | null} */ own) => {
    const found = districtAround(districts, own);
    fill(hint, own !== null && h("p", { class: "hint", id: "district-hint" }, found === null ? t("neighbours.district.outside") : t("neighbours.district.around", { district: found.name })));
    if (found !== null && select.value === "") select.value = found.id;
  };
  suggest(ownCell(context.household));
  const finder = new PlaceFinder(context.left, (cell) => {
    rememberOwnCell(context.household, cell);
    select.value = "";
    suggest(cell);
  });
  const join = feedGuarded(said, async () => {
    if (select.value === "") return fill(said, h("p", { class: "warn-text", role: "alert" }, t("neighbours.district.needed")));
    await feed.join(select.value);
    context.again();
  });
  const leave = feedGuarded(said, async () => {
    await feed.join(null);
    await writeFeedChoice(feed.relay.base, null);
    context.again();
  });
  return h(
    "section",
    { id: "district-section" },
    h("h2", {}, t("neighbours.district")),
    h("p", {}, t("neighbours.district.lead")),
    h(
      "form",
      { onsubmit: join },
      h("label", { for: select.id }, t("neighbours.district.name")),
      select,
      hint,
      h("details", {}, h("summary", {}, t("neighbours.district.find")), finder.node),
      said,
      h(
        "div",
        { class: "actions" },
        h("button", { class: "primary", id: "join-district" }, t(district === undefined ? "neighbours.district.join" : "neighbours.district.change")),
        district !== undefined && h("button", { type: "button", id: "leave-district", onclick: leave }, t("neighbours.district.leave")),
      ),
    ),
  );
}

class FollowForm {
  /** @param {Context} context @param {District} district @param {Following} now @param {boolean} isPushOn in this browser */
  constructor(context, district, now, isPushOn) {
    this.context = context;
    this.district = district;
    this.how = now.how;
    this.said = h("div", { "aria-live": "polite", id: "follow-said" });
    this.boxes = GROUPS.map((group) => switchBox({ id: `follow-${group}`, isOn: now.groups.includes(group) }));
    this.quiet = switchBox({ id: "follow-quiet", isOn: now.quiet !== null, onchange: () => this.#dim() });
    this.at = timeField("follow-at", now.minute);
    this.from = timeField("follow-from", now.quiet?.from_minute ?? 22 * 60);
    this.to = timeField("follow-to", now.quiet?.to_minute ?? 7 * 60);
    this.quietTimes = h("div", { class: "span-fields" }, labelled("push.from", this.from), labelled("push.to", this.to));
    this.quietPart = h("div", {}, rows([{ title: t("push.quiet"), more: t("neighbours.quiet.more"), control: this.quiet, for: this.quiet.id }]), this.quietTimes);
    this.digestPart = h("div", { class: "span-fields" }, labelled("neighbours.digest_at", this.at));
    const way = segmented({
      name: "follow-how",
      legend: t("neighbours.how"),
      options: WAYS.map((value) => ({ value, text: t(`neighbours.how.${value}`) })),
      value: this.how,
      onchange: (value) => {
        this.how = /** @type {typeof this.how} */ (value);
        this.#dim();
      },
    });
    const off = h("div", { class: "notice", id: "push-is-off" }, h("p", {}, t("neighbours.push_off")), h("a", { class: "button", href: "#/settings/notifications" }, t("neighbours.push_on")));
    this.node = h(
      "form",
      { id: "follow-form", onsubmit: feedGuarded(this.said, () => this.#save()) },
      h("h2", {}, t("neighbours.told", { district: district.name })),
      h("p", {}, t("neighbours.told.lead")),
      rows(GROUPS.map((group, at) => ({ title: t(`neighbours.group.${group}`), more: t(`neighbours.group.${group}.what`), control: this.boxes[at], for: this.boxes[at].id }))),
      way,
      this.digestPart,
      this.quietPart,
      !isPushOn && off,
      this.said,
      h("div", { class: "actions" }, h("button", { class: "primary", id: "follow-save" }, t("neighbours.told.save"))),
      h("p", { class: "hint" }, t("neighbours.told.learn")),
    );
    this.#dim();
  }

  #dim() {
    this.quietPart.hidden = this.how !== "push";
    this.quietTimes.hidden = !this.quiet.checked;
    this.digestPart.hidden = this.how === "push";
  }

  async #save() {
    const quiet = this.quiet.checked ? { from_minute: minuteOf(this.from), to_minute: minuteOf(this.to), time_zone: zoneHere() } : null;
    const groups = GROUPS.filter((_, at) => this.boxes[at].checked);
    await this.context.relay.put("feed/following", { groups, how: this.how, minute: minuteOf(this.at), quiet, time_zone: zoneHere() });
    const { credential_id } = this.context.household.owner;
    const { id, name } = this.district;
    await writeFeedChoice(this.context.relay.base, groups.length === 0 ? null : { credential_id, district: id, name, groups, since_ms: nowMs() });
    fill(this.said, h("p", { class: "ok", role: "status", id: "follow-saved" }, t(groups.length > 0 ? "neighbours.told.saved" : "neighbours.told.off")));
  }
}
