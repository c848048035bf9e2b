/**
 * An export goes on where it broke off: what is whole isn't fetched again, what is half or changed is.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

import { ClipError } from "../../relay/owner_app/clip_error.js";
import { Progress, parseList, pathsOf } from "../../relay/owner_app/export_files.js";
import { FolderFull, FolderGone, FolderTarget } from "../../relay/owner_app/export_folder.js";
import { ZipTarget, crc32 } from "../../relay/owner_app/export_zip.js";
import { Paused, runExport } from "../../relay/owner_app/exporter.js";

const DEVICE = "d".repeat(20);
const SIZE = 1000;

const problemOf = (name) => Object.assign(new Error(name), { name });

/** A disk's folder as the File System Access API has it: a file is replaced when its stream is closed. */
class Folder {
  constructor() {
    /** @type {Map<string, Folder | Blob>} */
    this.inside = new Map();
    this.isGone = false;
    this.room = Infinity;
  }

  async *keys() {
    if (this.isGone) throw problemOf("NotFoundError");
    yield* this.inside.keys();
  }

  async getDirectoryHandle(name, { create = false } = {}) {
    if (this.isGone) throw problemOf("NotFoundError");
    if (!this.inside.has(name) && create) this.inside.set(name, Object.assign(new Folder(), { above: this }));
    const found = this.inside.get(name);
    if (!(found instanceof Folder)) throw problemOf("NotFoundError");
    return found;
  }

  async getFileHandle(name, { create = false } = {}) {
    const top = this.above ?? this;
    if (top.isGone || (!this.inside.has(name) && !create)) throw problemOf("NotFoundError");
    return {
      getFile: async () => this.inside.get(name),
      createWritable: async () => {
        /** @type {Blob[]} */
        const written = [];
        return {
          write: async (blob) => {
            if (blob.size > top.room) throw problemOf("QuotaExceededError");
            top.room -= blob.size;
            written.push(blob);
          },
          abort: async () => {},
          close: async () => void this.inside.set(name, new Blob(written)),
        };
      },
    };
  }

  /** @param {string} path */
  at(path) {
    const [first, ...rest] = path.split("/");
    const found = this.inside.get(first);
    return rest.length > 0 && found instanceof Folder ? found.at(rest.join("/")) : found;
  }

  /** @param {string} path @param {Blob} blob */
  set(path, blob) {
    const parts = path.split("/");
    const name = parts.pop();
    /** @type {any} */ (parts.length > 0 ? this.at(parts.join("/")) : this).inside.set(name, blob);
  }
}

/** A doorbell with so many recordings; `asked` has what was fetched of it. */
class Doorbell {
  constructor(count = 5) {
    this.clips = Array.from({ length: count }, (_, n) => ({ clip_id: "a".repeat(25) + "bcdefghijk"[n], started_ms: 1_790_000_000_000 + n * 60_000, duration_ms: 9000, dating: "trusted", manifest_digest: "ab".repeat(32), size_bytes: SIZE, is_held: false, kept_by: [] }));
    /** @type {string[]} */
    this.asked = [];
    this.finished = 0;
    /** @type {(clip: {clip_id: string}, onShare: (share: number) => void) => void} */
    this.before = () => {};
    this.name = "Front";
  }

  index = async () => ({ text: "{}", index: /** @type {any} */ ({ v: 1, device: DEVICE, identity_key: "k", export_digest: "e", made_ms: 5, until_ms: 9, clips: this.clips }) });

  clip = async (clip, onShare) => {
    this.before(clip, onShare);
    this.asked.push(clip.clip_id);
    return { blob: new Blob([clip.clip_id.padEnd(SIZE, ".")]), signed: { manifest: "{}", signature: "s" } };
  };

  more = async () => [{ path: "events.json", blob: new Blob(["[]\n"]) }];
  readable = (list) => `${list.files.length} files\n`;
  finish = async () => void (this.finished += 1);
}

const run = (door, folder, more = {}) => runExport(door, new FolderTarget(folder, DEVICE), { onProgress: () => {}, signal: new AbortController().signal, ...more });
const listIn = async (folder) => JSON.parse(await folder.at("index.json").text());

test("everything is written, listed with its digests, and the doorbell is told", async () => {
  const [door, folder] = [new Doorbell(), new Folder()];
  const list = await run(door, folder);
  assert.equal(door.finished, 1);
  const written = await listIn(folder);
  assert.deepEqual(written.files, [...list.files].sort((a, b) => (a.path < b.path ? -1 : 1)));
  assert.equal(written.is_complete, true);
  assert.deepEqual(written.files.map(({ path }) => path).sort(), [...door.clips.flatMap((clip) => Object.values(pathsOf(clip))), "doorbell.json", "events.json"].sort());
  const sums = await folder.at("SHA256SUMS").text();
  assert.equal(sums.split("\n").length - 1, written.files.length);
});

test("the digests are those that sha256sum reads", async () => {
  const [door, folder] = [new Doorbell(2), new Folder()];
  await run(door, folder);
  const place = mkdtempSync(join(tmpdir(), "export-"));
  try {
    execFileSync("mkdir", [join(place, "clips")]);
    const list = await listIn(folder);
    for (const path of [...list.files.map((one) => one.path), "SHA256SUMS"]) writeFileSync(join(place, path), Buffer.from(await folder.at(path).arrayBuffer()));
    execFileSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: place });
  } finally {
    rmSync(place, { recursive: true });
  }
});

test("an export cut at 99 % fetches only what is missing", async () => {
  // Seen to fail with `has` telling no each time: all were fetched again.
  const [door, folder] = [new Doorbell(), new Folder()];
  door.before = ({ clip_id }, onShare) => {
    onShare(0.99);
    if (clip_id === door.clips[4].clip_id) throw new ClipError("unreachable", "the doorbell hung up");
  };
  await assert.rejects(run(door, folder), { reason: "unreachable" });
  assert.equal((await listIn(folder)).is_complete, false);
  assert.equal(folder.at(pathsOf(door.clips[4]).video), undefined, "no half file stands under its name");
  door.before = () => {};
  door.asked = [];
  const list = await run(door, folder);
  assert.deepEqual(door.asked, [door.clips[4].clip_id]);
  assert.equal(list.is_complete, true);
});

for (const [what, blob] of Object.entries({ "a half file": new Blob(["."]), "a file with another digest": new Blob(["x".repeat(SIZE)]), "an empty file": new Blob([]) })) {
  test(`${what} is fetched again`, async () => {
    // Seen to fail with the digest not compared, and for the half file with its size not compared either.
    const [door, folder] = [new Doorbell(), new Folder()];
    await run(door, folder);
    const { video } = pathsOf(door.clips[2]);
    folder.set(video, blob);
    door.asked = [];
    await run(door, folder);
    assert.deepEqual(door.asked, [door.clips[2].clip_id]);
    assert.equal(folder.at(video).size, SIZE);
  });
}

test("a file that is in no list counts for nothing, as a list of another doorbell does", async () => {
  const [door, folder] = [new Doorbell(), new Folder()];
  await run(door, folder);
  const list = await listIn(folder);
  for (const text of [JSON.stringify({ ...list, device: "c".repeat(20) }), "{", JSON.stringify({ ...list, files: [{ path: "../up", size: 1, sha256: "ab".repeat(32) }] })]) {
    folder.set("index.json", new Blob([text]));
    door.asked = [];
    await run(door, folder);
    assert.equal(door.asked.length, door.clips.length);
  }
});

test("a folder that is gone is said so, and nothing is taken for complete", async () => {
  const [door, folder] = [new Doorbell(), new Folder()];
  door.before = ({ clip_id }) => (folder.isGone = clip_id === door.clips[3].clip_id);
  await assert.rejects(run(door, folder), FolderGone);
  await assert.rejects(run(door, folder), FolderGone);
  assert.equal(door.finished, 0);
  folder.isGone = false;
  door.before = () => {};
  door.asked = [];
  await run(door, folder);
  assert.deepEqual(door.asked, door.clips.slice(3).map(({ clip_id }) => clip_id));
});

test("a full disk is said so, and the export goes on once there is room", async () => {
  const [door, folder] = [new Doorbell(), new Folder()];
  folder.room = SIZE * 3.5;
  await assert.rejects(run(door, folder), FolderFull);
  folder.room = Infinity;
  assert.equal((await run(door, folder)).is_complete, true);
  assert.equal(door.finished, 1);
});

test("a paused export stops at once and goes on later", async () => {
  const [door, folder, pausing] = [new Doorbell(), new Folder(), new AbortController()];
  door.before = ({ clip_id }) => {
    if (clip_id === door.clips[2].clip_id) {
      pausing.abort();
      throw new ClipError("unreachable", "nobody looks any more");
    }
  };
  await assert.rejects(run(door, folder, { signal: pausing.signal }), Paused);
  door.before = () => {};
  door.asked = [];
  await run(door, folder);
  assert.deepEqual(door.asked, door.clips.slice(2).map(({ clip_id }) => clip_id));
});

test("a recording that is gone, or isn't what was signed, is left out by name", async () => {
  const [door, folder] = [new Doorbell(), new Folder()];
  door.before = ({ clip_id }) => {
    if (clip_id === door.clips[1].clip_id) throw new ClipError("gone", "no clip of that id is kept here");
    if (clip_id === door.clips[3].clip_id) throw new ClipError("different", "other pictures");
  };
  const { left_out, files } = await run(door, folder);
  assert.deepEqual(left_out, [{ clip_id: door.clips[1].clip_id, why: "gone" }, { clip_id: door.clips[3].clip_id, why: "different" }]);
  assert.equal(files.filter(({ path }) => path.endsWith(".mp4")).length, 3);
});

test("what was saved before and has gone at the doorbell stays in the list", async () => {
  const [door, folder] = [new Doorbell(), new Folder()];
  await run(door, folder);
  const [gone] = door.clips.splice(0, 1);
  const { files } = await run(door, folder);
  assert.ok(files.some(({ path }) => path === pathsOf(gone).video));
  assert.equal(files.length, new Set(files.map(({ path }) => path)).size);
});

/** Runs an export into ZIP files that are "saved" into a folder of the disk. */
async function runZips(door, place, { saved = { files: [], parts: 0 }, until = Infinity } = {}) {
  const names = [];
  let kept = saved;
  const target = new ZipTarget(
    { base: "doorward-front", saved, partBytes: 2500 },
    async ({ number, name, blob }) => {
      if (number > until) throw new Paused();
      names.push(name);
      writeFileSync(join(place, name), Buffer.from(await blob.arrayBuffer()));
    },
    async (files, parts) => void (kept = { files, parts }),
  );
  const done = await runExport(door, target, { onProgress: () => {}, signal: new AbortController().signal }).catch((error) => error);
  return { names, kept, done };
}

test("ZIP files unpack into the same files, and go on after those that were saved", async () => {
  const place = mkdtempSync(join(tmpdir(), "export-zip-"));
  try {
    const door = new Doorbell();
    const first = await runZips(door, place, { until: 1 });
    assert.ok(first.done instanceof Paused);
    assert.deepEqual(first.names, ["doorward-front-001.zip"]);
    door.asked = [];
    const second = await runZips(door, place, { saved: first.kept });
    assert.deepEqual(second.names, ["doorward-front-002.zip", "doorward-front-003.zip"]);
    assert.deepEqual(door.asked, door.clips.slice(2).map(({ clip_id }) => clip_id), "of the first part nothing again");
    for (const name of [...first.names, ...second.names]) {
      execFileSync("python3", ["-c", "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; z.extractall(sys.argv[2])", join(place, name), place]);
    }
    execFileSync("sha256sum", ["--check", "--strict", "--quiet", "SHA256SUMS"], { cwd: place });
    const list = JSON.parse(readFileSync(join(place, "index.json"), "utf8"));
    assert.equal(list.files.filter(({ path }) => path.endsWith(".mp4")).length, 5);
  } finally {
    rmSync(place, { recursive: true });
  }
});

test("the checksum of a ZIP entry is the standard's", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926); // the catalogue's check value
});

test("how long the rest takes goes by what came since it went on, not by what lay there", () => {
  let now = 0;
  const progress = new Progress({ count: 4, bytes: 4000 }, () => now);
  progress.add(1000, { isFetched: false });
  assert.equal(progress.now().leftMs, null);
  now = 10_000;
  progress.add(1000, { isFetched: true });
  assert.deepEqual(progress.now(), { count: 2, of: 4, bytes: 2000, ofBytes: 4000, leftMs: 20_000 });
  now = 15_000;
  assert.equal(progress.now(0.5, 1000).leftMs, 15_000);
});

test("a list is read strictly", () => {
  const entry = { path: "clips/a.mp4", size: 1, sha256: "ab".repeat(32) };
  const read = (changes) => parseList(JSON.stringify({ v: 1, device: DEVICE, files: [entry], ...changes }), DEVICE);
  assert.deepEqual(read({}), [entry]);
  for (const files of [[{ ...entry, path: "/etc/passwd" }], [{ ...entry, path: "clips/../x" }], [{ ...entry, path: ".hidden" }], [{ ...entry, size: -1 }], [{ ...entry, sha256: "x" }], {}]) {
    assert.equal(read({ files }), null, JSON.stringify(files));
  }
});

test("a page that is closed in the middle has its list written, and goes on after what is whole", async () => {
  // Seen to fail with the list written at an ordered end alone.
  const [door, folder] = [new Doorbell(), new Folder()];
  const closed = new Promise((resolve) => {
    const clip = door.clip;
    door.clip = (one, onShare) => (one.clip_id === door.clips[3].clip_id ? (resolve(undefined), new Promise(() => {})) : clip(one, onShare));
  });
  void run(door, folder);
  await closed;
  const next = new Doorbell();
  await run(next, folder);
  assert.deepEqual(next.asked, next.clips.slice(3).map(({ clip_id }) => clip_id));
});
