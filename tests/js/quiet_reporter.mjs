/**
 * Reports failures in full, and a run without any in two lines: how many passed, and the slowest.
 *
 * What a test file prints is shown only if one of its tests fails.
 */
import { inspect } from "node:util";
import { relative } from "node:path";

const SLOWEST = 5;

/** @param {AsyncIterable<{type: string, data: any}>} events */
export default async function* report(events) {
  /** @type {Map<string, string[]>} */
  const printed = new Map();
  /** @type {Set<string>} */
  const failed = new Set();
  /** @type {{name: string, seconds: number}[]} */
  const times = [];
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const began_ms = performance.now();
  for await (const { type, data } of events) {
    if (type === "test:stdout" || type === "test:stderr") {
      printed.set(data.file, [...(printed.get(data.file) ?? []), data.message]);
    } else if (type === "test:pass" || type === "test:fail") {
      const isSkipped = data.skip !== undefined || data.todo !== undefined;
      const kind = isSkipped ? "skipped" : type === "test:pass" ? "passed" : "failed";
      counts[kind] += 1;
      times.push({ name: data.name, seconds: data.details.duration_ms / 1000 });
      if (kind === "failed") {
        failed.add(data.file);
        yield `FAILED ${data.name} (${whereOf(data)})\n${inspect(data.details.error.cause ?? data.details.error)}\n\n`;
      } else if (isSkipped) {
        yield `SKIPPED ${data.name} (${data.skip ?? data.todo})\n`;
      }
    }
  }
  for (const file of failed) {
    for (const message of printed.get(file) ?? []) yield message;
  }
  times.sort((one, other) => other.seconds - one.seconds);
  const slowest = times.slice(0, SLOWEST).map(({ name, seconds }) => `${seconds.toFixed(1)} s ${name}`);
  yield `slowest: ${slowest.join("; ")}\n`;
  const told = Object.entries(counts).filter(([kind, count]) => kind === "passed" || count > 0);
  const all = told.map(([kind, count]) => `${count} ${kind}`).join(", ");
  yield `node: ${all} in ${((performance.now() - began_ms) / 1000).toFixed(1)} s\n`;
}

/** @param {{file?: string, line?: number}} data */
function whereOf({ file, line }) {
  return file === undefined ? "no file" : `${relative(process.cwd(), file)}:${line ?? 1}`;
}
