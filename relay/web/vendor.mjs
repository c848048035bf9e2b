/**
 * Copies what the pages need and don't keep in the repository: `npm run vendor`.
 *
 * Each third-party file comes from node_modules, and each shared file of our own has one home:
 * style, mark and js/{protocol,browser} live in relay/web/static and are copied to the owner's
 * app, which is served from an origin of its own. Its icons are drawn from the mark, and its service
 * worker, which lists all its files, is made last.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ICONS, drawIcon, readMark } from "./icons.mjs";
import { writeFaceModel } from "./face_model.mjs";
import { writeMapFiles } from "./map_files.mjs";
import { writeSavedPage } from "./saved_page.mjs";
import { writeWorker } from "./service_worker.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const pages = join(root, "relay/web/static");
const app = join(root, "relay/owner_app");

/** @param {string} from @param {string} to */
function copy(from, to) {
  const source = join(root, from);
  if (!existsSync(source)) throw new Error(`${from} is missing: run \`npm ci\` first`);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(source, to, { recursive: true });
}

/**
 * A module without indentation and empty lines: the first page with a sealed name waits for it. Its
 * types were cut out by its makers, which left an eighth of it blank.
 * @param {string} source
 */
function withoutMargins(source) {
  const templates = source.match(/`[^`]*`/g) ?? [];
  if (templates.some((one) => one.includes("\n"))) throw new Error("a template literal spans lines: its margin is part of it");
  return `${source.split("\n").map((line) => line.trim()).filter(Boolean).join("\n")}\n`;
}

/** A style sheet without comments: the first page waits for it. @param {string} source */
function withoutComments(source) {
  return source.replace(/\/\*.*?\*\/\n*/gs, "");
}

function writeWords(/** @type {string} */ to) {
  const words = readFileSync(join(root, "firmware/protocol/words.json"), "utf8").trim();
  writeFileSync(to, `/** The 256 words of firmware/protocol/words.json. */\nexport default ${words};\n`);
}

for (const target of [join(pages, "vendor"), join(app, "vendor")]) {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, "hpke.js"), withoutMargins(readFileSync(join(root, "node_modules/hpke/index.js"), "utf8")));
  copy("node_modules/hpke/index.d.ts", join(target, "hpke.d.ts"));
  for (const name of ["sha2", "_md", "_u64", "utils"]) {
    copy(`node_modules/@noble/hashes/${name}.js`, join(target, `noble/${name}.js`));
    copy(`node_modules/@noble/hashes/${name}.d.ts`, join(target, `noble/${name}.d.ts`));
  }
  writeWords(join(target, "words.js"));
}
copy("node_modules/hpke/LICENSE.md", join(pages, "vendor/hpke.LICENSE.md")); // wheels carry them
copy("node_modules/@noble/hashes/LICENSE", join(pages, "vendor/noble/LICENSE"));
writeMapFiles(root, join(pages, "vendor"));
copy("node_modules/qrcode-generator/dist/qrcode.mjs", join(app, "vendor/qrcode.mjs"));
writeFileSync(
  join(app, "vendor/qrcode.d.mts"),
  `declare const qrcode: (type: 0, level: "L" | "M" | "Q" | "H") => {
  addData(data: string, mode?: "Byte"): void;
  make(): void;
  getModuleCount(): number;
  isDark(row: number, column: number): boolean;
};
export default qrcode;
`,
);
copy("node_modules/h3-js/dist/browser/h3-js.es.js", join(app, "vendor/h3.js"));
writeFileSync(join(app, "vendor/h3.d.ts"), 'export * from "h3-js";\n');
copy("relay/web/static/js/map/place_parser.js", join(app, "vendor/place_parser.js"));
writeFileSync(join(app, "vendor/style.css"), withoutComments(readFileSync(join(pages, "style.css"), "utf8")));
copy("relay/web/static/mark.svg", join(app, "vendor/mark.svg"));
copy("relay/web/static/js/protocol", join(app, "vendor/protocol"));
copy("relay/web/static/js/browser", join(app, "vendor/browser"));

writeFaceModel(root, join(app, "vendor/faces"));

const mark = readMark(readFileSync(join(pages, "mark.svg"), "utf8"));
mkdirSync(join(app, "vendor/icons"), { recursive: true });
for (const name of Object.keys(ICONS)) writeFileSync(join(app, "vendor/icons", name), drawIcon(mark, name));
writeSavedPage(join(pages, "vendor/verify.html"));
writeWorker(app); // last: it lists all others
