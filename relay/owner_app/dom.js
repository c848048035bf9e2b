/**
 * Creation of DOM elements: the only way in which text gets onto a page, so nothing is parsed as
 * HTML.
 * @module
 */

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */
/** @typedef {Record<string, any>} Properties attributes; `on…` are listeners, `class` the class */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Properties} [properties]
 * @param {...Child} content
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties = {}, ...content) {
  const element = document.createElement(tag);
  apply(element, properties);
  append(element, content);
  return element;
}

/**
 * Makes an SVG element.
 * @param {string} tag @param {Properties} properties @param {...Child} content
 */
export function svg(tag, properties, ...content) {
  const element = document.createElementNS(SVG, tag);
  apply(element, properties);
  append(element, content);
  return element;
}

/** Replaces what an element holds. @param {Element} element @param {...Child} content */
export function fill(element, ...content) {
  element.replaceChildren();
  append(element, content);
}

/** The mark: a door ajar, in one line. */
export function mark() {
  return svg(
    "svg",
    { viewBox: "0 0 48 48", class: "mark", "aria-hidden": "true" },
    svg("path", {
      d: "M43 42H34V6H14V42L26 47V11L14 6",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 3,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

/** Placeholders that show only after 300 ms. @param {number} rows */
export function skeleton(rows) {
  const blocks = Array.from({ length: rows }, () => h("div", { class: "skeleton" }));
  return h("div", { "aria-hidden": "true" }, blocks);
}

/** Loads a style sheet once; resolves when it counts. @param {string} href */
export function styleSheet(href) {
  if (document.querySelector(`link[href="${href}"]`) !== null) return Promise.resolve();
  const link = h("link", { rel: "stylesheet", href });
  const loaded = new Promise((/** @type {(value: void) => void} */ done, fail) => {
    link.addEventListener("load", () => done());
    link.addEventListener("error", () => {
      link.remove();
      fail(new Error(`${href} can't be fetched`));
    });
  });
  document.head.append(link);
  return loaded;
}

/** @param {Element} element @param {Properties} properties */
function apply(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") Reflect.set(element, name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @param {Element} element @param {Child[]} content */
function append(element, content) {
  for (const child of content.flat(5)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}
