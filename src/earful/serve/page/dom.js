/** Elements made of plain text: nothing here can turn a stranger's label into markup. */

const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "indeterminate"]);
const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. Children are nodes, or text that stays text; null, undefined and false are left out.
 * @param {string} tag
 * @param {Object} [props] attributes; besides them `class`, `on: {event: listener}`, `data: {name: text}`
 *   and the properties value, checked, selected, disabled
 * @param {...(Node|string|number|null|false|Array)} children
 * @returns {HTMLElement}
 */
export function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Make an SVG element; the same as `el` in the namespace of SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "data") Object.assign(node.dataset, value);
    else if (PROPERTIES.has(name)) node[name] = value;
    // A listener or a style given as text would be refused by the content policy, without a word to us.
    else if (/^(on|style$|srcdoc$)/i.test(name)) throw new TypeError(name);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

/** Replace all that a node holds; children as for `el`. Returns the node. */
export function refill(node, ...children) {
  node.replaceChildren();
  return fill(node, null, children);
}

/**
 * Make a button that does something.
 * @param {string} text what it says, and its name for screen readers unless `aria-label` is given
 * @param {(event: Event) => void} onClick
 * @param {Object} [props] as for `el`; `key: "y"` shows the key that does the same
 */
export function button(text, onClick, { key, ...props } = {}) {
  // A sign beside a name is a picture, no part of what the button is called.
  const sign = props["aria-label"] && !/\p{L}/u.test(text);
  return el("button", { type: "button", on: { click: onClick }, "aria-keyshortcuts": key, ...props },
    el("span", sign ? { data: { sign: text } } : {}, sign ? null : text), key ? el("kbd", { "aria-hidden": "true" }, key) : null);
}

/** Make a labelled control: `field("Scan", select)`; `hint` is a line below it. */
export function field(text, control, hint) {
  // The text of a select's options would be part of its name otherwise.
  if (!control.hasAttribute("aria-label")) control.setAttribute("aria-label", text);
  return el("label", { class: "field" }, el("span", {}, text), control, hint ? el("small", {}, hint) : null);
}

/**
 * Make a select.
 * @param {Array<[string, string]>} options pairs of value and text
 * @param {string} value the chosen one
 * @param {(value: string) => void} onPick
 */
export function select(options, value, onPick, props = {}) {
  // By mouse or touch it gives the keys back; by keyboard the focus stays where it is.
  let pointed = false;
  const change = () => { if (pointed) node.blur(); onPick(node.value); };
  const node = el("select", { ...props, on: { change, pointerdown: () => { pointed = true; }, keydown: () => { pointed = false; } } },
    options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  node.value = value;
  return node;
}

const inks = new Map();
for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
  matchMedia(query).addEventListener("change", () => inks.clear());
}
new MutationObserver(() => inks.clear()).observe(document.documentElement, { attributes: true });

/** Colour of a custom property as the browser resolves it now (`ink("--good")` -> "rgb(…)"), for canvases. */
export function ink(name) {
  if (!inks.has(name)) {
    const probe = el("i", { hidden: true });
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    inks.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return inks.get(name);
}

/** Address of a screen: `hashOf("review", {scan: "night.scan"})`. */
export function hashOf(id, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== "" && value !== undefined && value !== null)).toString();
  return `#/${id}${query ? `?${query}` : ""}`;
}

/** Call a function at most once per frame, with the latest arguments. */
export function perFrame(work) {
  let asked = 0, last;
  return (...given) => {
    last = given;
    asked ||= requestAnimationFrame(() => { asked = 0; work(...last); });
  };
}

/** Call a function when it has not been asked for during some milliseconds. */
export function afterPause(work, ms) {
  let timer = 0;
  const later = (...given) => { clearTimeout(timer); timer = setTimeout(() => work(...given), ms); };
  later.cancel = () => clearTimeout(timer);
  return later;
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
