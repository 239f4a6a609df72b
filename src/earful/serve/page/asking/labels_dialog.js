/** The dialog that says what is in a sound and what is not: for a new example, and for a row of the index. */

import { labelField, openDialog } from "../choice.js";
import { button, el, field, refill } from "../dom.js";
import { T } from "../texts.js";
import { W } from "./texts.js";

const R = W.rows;

/**
 * Ask for labels on both sides; the dialog stays, with the reason, where they are refused.
 * @param {Object} options
 * @param {string} options.title
 * @param {string[]} options.known labels to choose from
 * @param {string[]} [options.labels] those that are there already
 * @param {string[]} [options.not_labels] those that are known not to be there
 * @param {Object<string, [string, string, string]>} [options.fields] further texts by name: caption, value, hint
 * @param {string} [options.hint]
 * @param {string} options.confirm what the button says
 * @param {(said: Object) => Promise<void>} options.save given `labels`, `not_labels` and the further texts
 */
export function askLabels({ title, known, labels = [], not_labels = [], fields = {}, hint = "", confirm, save }) {
  const sides = { labels: [...labels], not_labels: [...not_labels] };
  const captions = { labels: R.there, not_labels: R.notThere };
  const chips = { labels: el("div", { class: "row chips" }), not_labels: el("div", { class: "row chips" }) };
  let side = "labels";
  const problem = el("p", { class: "bad", role: "alert" });
  const tabs = Object.keys(sides).map((one) => button(R.add(captions[one]), () => turn(one)));
  const inputs = Object.fromEntries(Object.entries(fields).map(([name, [, value]]) => [name, el("input", { type: "text", maxlength: "200", value })]));
  const choice = labelField({ labels: known, onEmpty: () => { if (sides.labels.length || sides.not_labels.length) keep.click(); }, hint: R.choiceHint, onPick: (name) => {
    const other = side === "labels" ? "not_labels" : "labels";
    if (!sides[side].includes(name)) sides[side].push(name);
    sides[other] = sides[other].filter((one) => one !== name);
    choice.input.value = "";
    choice.input.dispatchEvent(new Event("input"));
    draw();
  } });

  function turn(next) {
    side = next;
    Object.keys(sides).forEach((one, at) => tabs[at].setAttribute("aria-pressed", String(one === side)));
    choice.input.focus();
  }

  function draw() {
    problem.textContent = "";
    for (const [one, list] of Object.entries(sides)) {
      refill(chips[one], el("span", { class: "faint side" }, captions[one]), list.length ? list.map((name) => button(`${name} ×`, () => {
        sides[one] = sides[one].filter((other) => other !== name);
        draw();
        choice.input.focus();
      }, { "aria-label": R.dropLabel(name), class: one === "labels" ? "yes" : "no" })) : el("span", { class: "faint" }, R.none_));
    }
  }

  const keep = button(confirm, async () => {
    if (!sides.labels.length && !sides.not_labels.length) { problem.textContent = R.noLabel; choice.input.focus(); return; }
    keep.disabled = true;
    try {
      await save({ ...sides, ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()])) });
      opened.close();
    } catch (error) {
      problem.textContent = error.message;
    } finally { keep.disabled = false; }
  }, { class: "strong" });

  draw();
  const opened = openDialog(title, [hint ? el("p", { class: "faint" }, hint) : null, chips.labels, chips.not_labels, el("div", { class: "row" }, tabs), choice.node,
    el("div", { class: "row high" }, Object.entries(fields).map(([name, [caption, , help]]) => el("div", { class: "grow" }, field(caption, inputs[name], help)))), problem],
  { confirm: keep, closeText: T.app.cancel });
  turn("labels");
}
