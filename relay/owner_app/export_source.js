/**
 * What an export of one doorbell takes: the signed index and the recordings from the doorbell itself,
 * end to end, and what only relay and app have: the list of events, own posts to neighbours, who looked.
 * @module
 */
import { askDoorbell } from "./asked_channel.js";
import { ClipReader } from "./clips.js";
import { beforeQuery, firstReport } from "./event_groups.js";
import { readableText } from "./export_files.js";
import { bytesText, t, timeText } from "./i18n.js";
import { trustedKeys } from "./trust.js";
import { unb64u } from "./vendor/protocol/encoding.js";
import { checkIndex } from "./vendor/protocol/exports.js";
import { looksIn } from "./views/looked.js";

/** @typedef {import("./exporter.js").Source} Source */
/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./live_prefetch.js").LivePrefetch} LivePrefetch */

const MOST_INDEX_BYTES = 32 * 1024 * 1024;
const PAGE = 200;
const MOST_PAGES = 1000;

/**
 * @param {{household: Household, ready: LivePrefetch}} context @param {{device: string, name: string}} bell @param {AbortSignal} signal ends what is being fetched
 * @returns {Source}
 */
export function exportSource({ household, ready }, { device, name }, signal) {
  const { identity_key } = trustedKeys(household, device);
  const reader = new ClipReader(ready, device);
  signal.addEventListener("abort", () => reader.close(), { once: true });
  return {
    name,
    index: async () => {
      const text = await askDoorbell(ready, device, { type: "export" }, { kind: "export", mostBytes: MOST_INDEX_BYTES });
      return { text, index: await checkIndex(text, device, unb64u(identity_key)) };
    },
    clip: ({ clip_id, manifest_digest }, onShare) => reader.read({ clipId: clip_id, digest: manifest_digest, identityKey: identity_key }, onShare),
    more: async () => [
      { path: "events.json", blob: jsonBlob(await eventsOf(household, device)) },
      { path: "neighbours.json", blob: jsonBlob(await ownPosts(household)) },
      { path: "who-looked.json", blob: jsonBlob(await whoLooked(household, device)) },
    ],
    readable: (list) =>
      readableText(list, {
        title: t("export.file.title", { name }),
        made: t("export.file.made", { time: timeText(list.made_ms) }),
        how: ["export.file.sums", "export.file.verify", "export.file.doorbell", "export.file.app"].map((key) => t(key)),
        left: ({ clip_id, why }) => t(`export.file.left.${why}`, { id: clip_id }),
        bytes: bytesText,
      }),
    finish: async () => {
      reader.close();
      await endExport(ready, device, true);
    },
  };
}

/** Tells the doorbell that this browser's export is over. @param {LivePrefetch} ready @param {string} device @param {boolean} isComplete */
export async function endExport(ready, device, isComplete) {
  await askDoorbell(ready, device, { type: "export_finished", is_complete: isComplete }, { kind: "finished", mostBytes: 0 });
}

/** All events that the relay still has of a doorbell, newest first. @param {Household} household @param {string} device */
async function eventsOf({ relay }, device) {
  const found = [];
  let before = "";
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { events } = await relay.get(`events?limit=${PAGE}${before}`);
    found.push(...events.filter((/** @type {any} */ { event }) => event.device === device));
    if (events.length < PAGE) break;
    before = beforeQuery(firstReport(events));
  }
  return { v: 1, device, said_by: "relay", events: found };
}

/** What the relay has of this account in the neighbours' feed: the district, and own posts of the last 30 days. @param {Household} household */
async function ownPosts({ relay }) {
  const [membership, { posts }] = await Promise.all([relay.get("feed/membership"), relay.get("feed/mine")]);
  return { v: 1, said_by: "relay", membership, posts };
}

/** Live views by the doorbell's notes in this browser, administrators' looks by the relay. @param {Household} household @param {string} device */
async function whoLooked(household, device) {
  const { reads } = await household.relay.get("reads");
  return { v: 1, device, live_views: looksIn(household).filter((look) => look.device === device), administrators: reads };
}

/** @param {unknown} value */
function jsonBlob(value) {
  return new Blob([`${JSON.stringify(value, null, 1)}\n`]);
}
