/** Choosing a label by typing, and short dialogs. */

import { button, el, refill } from "./dom.js";
import { T } from "./texts.js";

let count = 0;

/**
 * Make a text field with completion over labels.
 * @param {Object} options
 * @param {string[]} options.labels
 * @param {(label: string) => void} options.onPick Enter, or a click on a label
 * @param {() => void} [options.onEmpty] Enter in an empty field; without it that takes the first label
 * @param {string} [options.name] its name for screen readers
 * @param {boolean} [options.fresh] labels that are not in the list may be made; default true
 * @param {string} [options.hint] how to use it
 * @returns {{node: HTMLElement, input: HTMLInputElement}}
 */
export function labelField({ labels, onPick, onEmpty, name = T.choice.label, fresh = true, hint = T.choice.hint }) {
  const id = `choice-${(count += 1)}`;
  const list = el("ul", { class: "options", role: "listbox", id, "aria-label": name });
  const input = el("input", {
    type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": id, "aria-label": name, maxlength: "200",
    autocomplete: "off", spellcheck: "false", on: { input: () => { moved = false; offer(); }, keydown: key },
  });
  let found = [], at = 0, moved = false;

  function offer(next = 0) {
    const typed = input.value.trim(), low = typed.toLowerCase();
    const starts = labels.filter((one) => one.toLowerCase().startsWith(low));
    found = [...starts, ...labels.filter((one) => !starts.includes(one) && one.toLowerCase().includes(low))].slice(0, 40);
    const known = labels.some((one) => one === typed);
    if (fresh && typed && !known) found.push(typed);
    at = Math.min(Math.max(next, 0), found.length - 1);
    if (onEmpty && !typed && !moved) at = -1;
    refill(list, found.map((label, place) => el("li", {
      role: "option", id: `${id}-${place}`, "aria-selected": String(place === at),
      on: { pointerdown: (event) => event.preventDefault(), click: () => onPick(label) },
    }, labels.includes(label) ? label : T.choice.fresh(label))), found.length ? null : el("li", { class: "faint" }, T.choice.none));
    input.setAttribute("aria-activedescendant", at >= 0 ? `${id}-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function key(event) {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { moved = true; offer(at + (event.key === "ArrowDown" ? 1 : -1)); }
    else if (event.key === "Enter") { if (found[at]) onPick(found[at]); else if (!input.value.trim()) onEmpty?.(); } else return;
    event.preventDefault();
  }

  offer();
  return { node: el("div", { class: "choice" }, input, el("small", { class: "faint" }, hint), list), input };
}

/**
 * Open a dialog; Escape and its button close it, and focus goes back to where it was.
 * @param {string} title
 * @param {Node[]} content
 * @returns {{node: HTMLDialogElement, close: () => void, closed: Promise<void>}}
 */
export function openDialog(title, content, { confirm, closeText = T.app.close } = {}) {
  const heading = el("h2", { id: `dialog-${(count += 1)}` }, title);
  const node = el("dialog", { "aria-labelledby": heading.id }, heading, content,
    el("div", { class: "row end" }, confirm ?? null, button(closeText, () => close())));
  // Gone at once: a field that is merely hidden keeps the focus for a moment, and would swallow the next key.
  const close = () => { node.close(); node.remove(); };
  document.body.append(node);
  const closed = new Promise((resolve) => node.addEventListener("close", () => { node.remove(); resolve(); }));
  node.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  node.showModal();
  return { node, close, closed };
}

/** Ask for a label in a dialog; resolves to it, or to null when the dialog is closed. */
export function askLabel(labels, title) {
  let picked = null;
  const choice = labelField({ labels, onPick: (label) => { picked = label; opened.close(); } });
  const opened = openDialog(title, [choice.node], { closeText: T.app.cancel });
  choice.input.focus();
  return opened.closed.then(() => picked);
}

/** Ask for a line of text in a dialog; resolves to it, or to null when the dialog is cancelled. */
export function askText(title, value = "", hint = "") {
  let written = null;
  const input = el("input", { type: "text", value, maxlength: "2000", "aria-label": title, on: { keydown: (event) => {
    if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); done(); }
  } } });
  const done = () => { written = input.value.trim(); opened.close(); };
  const opened = openDialog(title, [input, hint ? el("small", { class: "faint" }, hint) : null],
    { closeText: T.app.cancel, confirm: button(T.app.keep, done, { class: "strong" }) });
  input.focus();
  input.select();
  return opened.closed.then(() => written);
}
