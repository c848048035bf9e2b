/**
 * The page that shows every component of the design system in each of its states, made by the
 * owner's app's own helpers where there is one (tests/flows/component_pictures.py serves it).
 */
import { chips, empty, progress, segmented, stat, switchBox } from "./components/controls.js";
import { dialog, toast } from "./components/dialog.js";
import { rows } from "./components/rows.js";
import { fill, h, mark, skeleton } from "./dom.js";
import { loadLanguage } from "./i18n.js";
import { icon } from "./icons.js";

const TOKENS = ["paper", "card", "ink", "muted", "line", "edge", "accent", "accent-soft", "warn", "warn-soft"];
const SIZES = ["display", "title", "lead", "body", "small"];

const part = (title, ...content) => h("section", { id: title.toLowerCase().replaceAll(" ", "-") }, h("h2", {}, title), content);

const colours = () =>
  h(
    "ul",
    { class: "chips" },
    TOKENS.map((name) => {
      const swatch = h("span", { class: "tag" });
      Object.assign(swatch.style, { background: `var(--${name})`, width: "3rem", height: "1.5rem", verticalAlign: "middle" });
      return h("li", {}, swatch, " ", name);
    }),
  );

const type = () =>
  SIZES.map((name) => {
    const line = h("p", {}, `${name}: Somebody rang at 14:33`);
    line.style.fontSize = `var(--${name})`;
    return line;
  });

const button = (text, properties = {}) => h("button", { type: "button", ...properties }, text);

const buttons = () => [
  h("div", { class: "actions" }, button("Save", { class: "primary" }), button("Cancel"), button("Remove", { class: "danger" }), button("Not now", { class: "quiet" })),
  h("div", { class: "actions" }, button("Save", { class: "primary", disabled: true }), button("Cancel", { disabled: true }), h("a", { class: "button", href: "#buttons" }, "A link")),
  h("div", { class: "choice" }, button("Don't give"), button("Give")),
  button("Hold to talk", { class: "primary big" }),
];

const fields = () => [
  h("label", { for: "name" }, "Name of the doorbell"),
  h("input", { id: "name", type: "text", value: "Front door", "aria-describedby": "about-name" }),
  h("p", { class: "hint", id: "about-name" }, "Only its owners know it."),
  h("label", { for: "wrong" }, "Country"),
  h("input", { id: "wrong", type: "text", value: "Sverige", "aria-invalid": "true", "aria-describedby": "why" }),
  h("p", { class: "warn-text", id: "why" }, "Give the country in two letters, such as SE."),
  h("label", { for: "kind" }, "Chime"),
  h("select", { id: "kind" }, h("option", {}, "Two notes"), h("option", {}, "Bell")),
  h("label", { for: "words" }, "What it says"),
  h("textarea", { id: "words" }, "I'm coming."),
  h("label", {}, h("input", { type: "checkbox", checked: true }), "With sound"),
  h("label", {}, h("input", { type: "checkbox", disabled: true }), "With sound: it has no microphone"),
];

const controls = () => [
  rows([
    { icon: "notifications", title: "Rings", more: "On this phone", for: "rings", control: switchBox({ id: "rings", isOn: true }) },
    { icon: "motion", title: "Motion", for: "motion", control: switchBox({ id: "motion", isOn: false }) },
    { icon: "police", title: "Requests", more: "Set by another owner", for: "off", control: switchBox({ id: "off", isOn: false, isOff: true }) },
    { icon: "bell", title: "Chime", value: "Two notes", href: "#controls" },
    { icon: "people", title: "A name that is so long that it needs a second line on every phone that there is", value: "Owner", onclick: () => {} },
  ]),
  segmented({ name: "quality", legend: "Picture", options: [{ value: "sharp", text: "Sharp" }, { value: "even", text: "Balanced" }, { value: "small", text: "Small" }], value: "even" }),
  chips([{ id: "chip-rings", text: "Rings", isOn: true }, { id: "chip-motion", text: "Motion", isOn: false }, { id: "chip-kept", text: "Kept", isOn: false }], () => {}, "Show"),
  h("nav", { class: "tabs", "aria-label": "Days" }, h("a", { href: "#controls", "aria-current": "true" }, "Today"), h("a", { href: "#controls" }, "Yesterday"), h("a", { href: "#controls" }, "All")),
];

const states = () => [
  h("div", {}, h("p", { class: "state on" }, "Online")),
  h("div", {}, h("p", { class: "state" }, "Not reachable since 14:02")),
  h("p", {}, h("span", { class: "tag" }, "Example")),
  h("p", { class: "ok" }, "Saved: your doorbell goes by it now."),
  h("p", { class: "bad" }, "It wasn't saved."),
  h("div", { class: "notice" }, h("p", {}, "Your doorbell's own page asks you to confirm.")),
  h("div", { class: "warning" }, h("p", {}, "The memory card is failing: put in a new one.")),
  h("div", { class: "banner" }, "No contact with the relay since 14:02. What you see may be old."),
  progress(0.4, "12 of 30 recordings"),
  h("div", { class: "stats" }, stat("14", "requests in November"), stat("3", "refused by moderators"), stat("1", "given by you")),
  skeleton(2),
  empty("All quiet. When somebody rings, it shows here at once.", { icon: "door", action: h("a", { class: "button", href: "#states" }, "All recordings") }),
];

const tile = (kind, words, time) => h("li", { class: kind }, h("a", { class: "tile", href: "#pictures" }, h("div", { class: "thumb" }, mark()), h("strong", {}, words), h("span", { class: "muted" }, time)));

const pictures = () => [
  h("ul", { class: "strip" }, tile("ring", "Somebody rang", "14:33"), tile("motion", "Motion", "14:20"), tile("ring", "Somebody rang", "11:02"), tile("motion", "3 movements", "09:10–09:40")),
  h("div", { class: "card" }, h("h3", {}, "A card"), h("p", {}, "It holds what belongs together.")),
  h("div", { class: "letter" }, h("p", { class: "first" }, "Lakeland Police ask for recordings of Wednesday 18 November, 10:50–11:50."), h("h2", {}, "What they promise"), h("p", {}, "To delete them after 30 days.")),
  h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Month"), h("th", {}, "Asked"))), h("tbody", {}, h("tr", {}, h("td", {}, "November"), h("td", {}, "14")))),
  h("details", {}, h("summary", {}, "How this is protected"), h("p", {}, "By the doorbell's own signature.")),
];

const icons = () => h("p", {}, ["door", "history", "requests", "settings", "camera", "notifications", "people", "police", "data", "bell", "motion", "see", "microphone", "chevron", "close", "more"].map((name) => icon(name)));

const over = () => {
  const open = () => dialog({ title: "Remove this browser?", body: h("p", {}, "It sees and hears nothing more, at once."), buttons: [{ text: "Remove", value: "yes", kind: "danger" }, { text: "Keep", value: "no" }] });
  const say = () => toast("Kept.", { label: "Undo", onclick: () => {} });
  return [
    h("div", { class: "actions" }, button("Open a dialog", { id: "open-dialog", onclick: open }), button("Show a toast", { id: "show-toast", onclick: say })),
    h("div", { class: "pinned" }, button("No"), button("Hold"), button("Ignore")),
  ];
};

await loadLanguage();
fill(
  document.getElementById("main"),
  h("h1", {}, "Components"),
  part("Colours", colours()),
  part("Type", type()),
  part("Icons", icons()),
  part("Buttons", buttons()),
  part("Fields", fields()),
  part("Controls", controls()),
  part("States", states()),
  part("Pictures", pictures()),
  part("Over the page", over()),
);
document.body.dataset.ready = "";
