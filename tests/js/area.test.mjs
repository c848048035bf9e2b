/**
 * The area of a request, in the browser as the relay has it: the same shapes are the same cells, and
 * nothing is chosen that the register would refuse.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const home = new URL("../../relay/web/static/", import.meta.url);
const use = (name) => import(new URL(name, home).href);
const { areas } = JSON.parse(readFileSync(new URL("../vectors/areas.json", import.meta.url), "utf8"));

const h3 = await use("vendor/h3.js");
const { Area } = await use("js/map/area.js");
const { FreeArea } = await use("js/map/free_area.js");
const { circle, crosses, rectangle } = await use("js/map/selection.js");
const { inFrames } = await use("js/map/frames.js");
const { parsePlace } = await use("js/map/place_parser.js");
const { cut, simplified } = await import(new URL("../../relay/web/map_files.mjs", import.meta.url).href);

const MIDDLE = "8928308280fffff";
const NEAR = h3.gridDisk(MIDDLE, 3);
const OUTSIDE = h3.gridDisk(MIDDLE, 4).find((cell) => !NEAR.includes(cell));

function area({ cells = NEAR, names = [], merged = [], max_cells = 12 } = {}) {
  return new Area(h3, { cells, names, merged, max_cells });
}

test("a cell is called as the place near it, else by its centre", () => {
  const names = NEAR.map((_, index) => `Street ${index}`);
  assert.equal(area({ names }).nameOf(NEAR[2]), "Street 2");
  assert.equal(area().nameOf(MIDDLE), "37.7767, -122.4185");
  assert.equal(area({ names }).nameOf(OUTSIDE), area().nameOf(OUTSIDE));
});

/** What h3-js makes of GeoJSON, its holes too. */
function cellsOf(geojson) {
  const found = polygonsOf(geojson).flatMap((rings) => h3.polygonToCells(rings, 9, true));
  return [...new Set(found)].sort();
}

/** @returns the rings of each polygon */
function polygonsOf({ type, coordinates, geometry, features }) {
  if (type === "FeatureCollection") return features.flatMap(polygonsOf);
  if (type === "Feature") return polygonsOf(geometry);
  return type === "MultiPolygon" ? coordinates : [coordinates];
}

for (const { name, geojson, cells } of areas) {
  test(`the browser finds the cells that the relay finds: ${name}`, () => {
    assert.deepEqual(cellsOf(geojson), cells);
    if (geojson.type !== "Polygon" || geojson.coordinates.length > 1) return;
    const ring = geojson.coordinates[0].slice(0, -1).map(([lon, lat]) => [lat, lon]);
    const drawn = area().cellsIn(ring);
    if (drawn !== null) assert.deepEqual(drawn.sort(), cells);
    assert.deepEqual(new FreeArea(h3, { max_cells: 2500 }).shapeOffer(ring).cells.sort(), cells);
  });
}

test("what lies outside is left out and said, and too much adds nothing", () => {
  const some = area();
  assert.deepEqual(some.add([MIDDLE, OUTSIDE]), { cells: [MIDDLE], outside: [OUTSIDE], isTooMany: false });
  assert.deepEqual([...some.chosen], [MIDDLE]);
  const many = some.add(NEAR);
  assert.equal(many.isTooMany, true);
  assert.deepEqual([...some.chosen], [MIDDLE]);
  assert.equal(some.add(h3.gridDisk(MIDDLE, 1)).isTooMany, false);
  assert.equal(some.chosen.size, 7);
  assert.ok(some.km2() > 0.6 && some.km2() < 0.8);
});

test("merged cells come and go together, and count together", () => {
  const [, one, other] = NEAR;
  const some = area({ merged: [[one, other]], max_cells: 2 });
  assert.deepEqual(some.add([one]).cells.sort(), [one, other].sort());
  assert.equal(some.add([MIDDLE]).isTooMany, true);
  some.remove(other);
  assert.equal(some.chosen.size, 0);
  some.add([MIDDLE]);
  assert.equal(some.add([one]).isTooMany, true); // it would bring the other
});

test("a change is told once, and a choice that is none isn't", () => {
  const some = area();
  let told = 0;
  some.addEventListener("change", () => told++);
  some.add([OUTSIDE]);
  assert.equal(told, 0);
  some.toggle(MIDDLE);
  some.toggle(MIDDLE);
  assert.equal(told, 2);
  assert.equal(some.chosen.size, 0);
});

test("a small shape is the cell in its middle, a line too, and a huge one is never computed", () => {
  const some = area();
  const [lat, lon] = some.centre(MIDDLE);
  const near = [lat + 0.0001, lon + 0.0001];
  assert.deepEqual(some.cellsIn(rectangle([lat, lon], near)), [MIDDLE]);
  assert.deepEqual(some.cellsIn(rectangle([lat, lon], [lat, lon])), [MIDDLE]);
  assert.deepEqual(some.cellsIn([[lat, lon], near, near]), [MIDDLE]);
  assert.equal(some.cellsIn(rectangle([-80, -170], [80, 170])), null);
  const round = some.cellsIn(circle([lat, lon], [lat + 0.004, lon]));
  assert.ok(round.includes(MIDDLE) && round.length > 4 && round.length < 13);
});

test("a jurisdiction is drawn from several shapes, of which some take out", () => {
  const free = new FreeArea(h3, { max_cells: 2500 });
  free.addShape(rectangle([59.3, 18], [59.33, 18.06]));
  const whole = free.chosen.size;
  assert.ok(whole > 50);
  free.isTakingOut = true;
  const hole = rectangle([59.31, 18.02], [59.32, 18.04]);
  const offer = free.shapeOffer(hole);
  assert.equal(free.after(offer).length, whole - offer.cells.length);
  assert.equal(free.addShape(hole).isTaking, true);
  assert.equal(free.chosen.size, whole - offer.cells.length);
  assert.equal(free.addShape(hole).fault, "nothing");
  free.undo();
  assert.equal(free.chosen.size, whole);
  free.undo();
  assert.equal(free.chosen.size, 0);
  assert.equal(free.canUndo, false);
});

test("what the relay would refuse of a shape chooses nothing", () => {
  const free = new FreeArea(h3, { max_cells: 100 });
  const bow = [[59, 18], [59.02, 18.02], [59, 18.02], [59.02, 18]];
  assert.equal(crosses(bow), true);
  assert.equal(crosses(bow.with(2, [59.02, 18]).with(3, [59, 18.02])), true);
  assert.equal(crosses(rectangle([59, 18], [59.02, 18.02])), false);
  assert.equal(crosses([[0, 0], [0, 2], [1, 1], [2, 2], [2, 0], [1, 1]]), false); // it only touches
  assert.equal(free.addShape(bow).fault, "crosses");
  assert.equal(free.addShape(rectangle([59, 18], [59.0001, 18.0001])).fault, "small");
  assert.equal(free.addShape(rectangle([59, 18], [59, 18.1])).fault, "small"); // a line
  assert.equal(free.addShape(rectangle([50, 10], [60, 20])).fault, "large");
  const many = free.addShape(rectangle([59, 18], [59.05, 18.08]));
  assert.equal(many.isTooMany, true);
  assert.equal(free.chosen.size, 0);
  assert.equal(free.canUndo, false);
});

test("what moves is shown once a picture, the newest of it, and what ended not at all", () => {
  const [shown, waiting] = [[], new Map()];
  let asked = 0;
  const screen = { ask: (done) => (waiting.set(++asked, done), asked), forget: (frame) => waiting.delete(frame) };
  const sketch = inFrames((value) => shown.push(value), screen);
  const picture = () => [...waiting].forEach(([frame, done]) => (waiting.delete(frame), done()));
  for (const value of [1, 2, 3]) sketch.soon(value);
  assert.deepEqual([shown, asked], [[], 1]);
  picture();
  sketch.soon(4);
  sketch.now(null);
  picture();
  assert.deepEqual(shown, [3, null]);
  sketch.soon(5);
  sketch.drop();
  picture();
  assert.deepEqual(shown, [3, null]);
});

test("a drawing that was kept takes the place of another, and can be undone", () => {
  const free = new FreeArea(h3, { max_cells: 100 });
  free.add([OUTSIDE]);
  free.replace(NEAR);
  assert.deepEqual([...free.chosen], NEAR);
  free.undo();
  assert.deepEqual([...free.chosen], [OUTSIDE]);
});

test("a cell has six neighbours, clockwise from the north", () => {
  const around = area().neighbours(MIDDLE);
  assert.equal(around.length, 6);
  assert.deepEqual(around.map(({ degrees }) => degrees), around.map(({ degrees }) => degrees).toSorted((a, b) => a - b));
  assert.ok(around.every(({ cell }) => h3.areNeighborCells(MIDDLE, cell)));
});

test("places are read as people type them", () => {
  const at = (text) => parsePlace(text)?.point?.map((degrees) => Number(degrees.toFixed(4))) ?? null;
  for (const text of ["59.33, 18.06", "59.33 18.06", "59.33,18.06", "59,33 18,06", "59,33; 18,06", " 59.33°N 18.06°E ", "59.33 N, 18.06 Ö", "59°19'48\"N 18°3'36\"E", "59° 19.8′ N, 18° 3.6′ E"]) {
    assert.deepEqual(at(text), [59.33, 18.06], text);
  }
  assert.deepEqual(at("-33.9, 151.2"), [-33.9, 151.2]);
  assert.deepEqual(at("33.9 S 70.6 V"), [-33.9, -70.6]);
  assert.deepEqual(at("59, 18"), [59, 18]);
  for (const text of ["", "Lakeland", "91, 0", "0, 181", "59.33", "12 Elm Street", "59.33, 18.06, 3", "-33.9 S 70.6 V", "33.9 S, -70.6 W", "+59 N 18 E"]) {
    assert.equal(parsePlace(text), null, text);
  }
  assert.deepEqual(parsePlace(`${MIDDLE}, ${NEAR[1]}`), { cells: [MIDDLE, NEAR[1]] });
  assert.equal(area().isCell(MIDDLE), true);
  assert.equal(area().isCell("89ffffffffffffff"), false);
  assert.equal(area().isCell("8828308281fffff"), false); // another resolution
});

test("an outline keeps what is off the line, and its ends", () => {
  const line = [[0, 0], [1, 0.001], [2, 0], [3, 1], [4, 0]];
  assert.deepEqual(simplified(line, 0.01), [[0, 0], [2, 0], [3, 1], [4, 0]]);
  assert.deepEqual(simplified([[0, 0], [0, 0]], 0.01), [[0, 0], [0, 0]]);
});

test("a line is cut at the 180th meridian", () => {
  const [a, b, c, d] = [[178, 1], [179.9, 2], [-179.9, 2], [-178, 1]];
  assert.deepEqual(cut([a, b, c, d]), [[a, b], [c, d]]);
  assert.deepEqual(cut([a, b]), [[a, b]]);
});
