/** Keys without modifiers, that leave text fields and other controls alone. */

const OWN_LETTERS = "input:not([type=checkbox],[type=radio],[type=range],[type=button]), textarea, select, [contenteditable]";

/**
 * Name of the key of an event, or "" where it is none of ours: held down, with Ctrl, Alt or Meta, in a text
 * field, or one that the focused control needs itself.
 * Letters are lower case whatever Caps Lock says. Digits count by their place too, as French keyboards need
 * Shift for them. AltGr is no modifier here: many keyboards write `[` with it.
 * @param {KeyboardEvent} event
 */
export function keyOf(event) {
  const altgr = event.getModifierState?.("AltGraph");
  if (event.repeat || event.isComposing || event.defaultPrevented || event.metaKey) return "";
  if ((event.ctrlKey || event.altKey) && !altgr) return "";
  const target = event.target instanceof Element ? event.target : document.body;
  if (target.closest(OWN_LETTERS) || document.querySelector("dialog[open]")) return "";
  const key = event.key;
  if ((key === " " || key === "Enter") && target.closest("button, a[href], summary, input, [role=option]")) return "";
  if (key.startsWith("Arrow") && target.closest("input, [role=slider], [role=listbox], [role=tablist]")) return "";
  if (event.shiftKey && event.code === "Comma") return "<";
  if (event.shiftKey && event.code === "Period") return ">";
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  if (digit && !event.shiftKey) return digit[1];
  if (key.length === 1 && /\p{L}/u.test(key)) return event.shiftKey ? "" : key.toLowerCase();
  return key;
}

/**
 * Bind keys to what they do until the returned function is called.
 * @param {Object<string, () => void>} map from a key's name (`y`, `?`, ` `, `ArrowLeft`) to what it does
 */
export function bindKeys(map) {
  const listen = (event) => {
    const act = map[keyOf(event)];
    if (!act) return;
    event.preventDefault();
    act(event);
  };
  document.addEventListener("keydown", listen);
  return () => document.removeEventListener("keydown", listen);
}
