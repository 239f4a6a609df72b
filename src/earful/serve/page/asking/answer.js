/** An answer: what was said, how sure, and the exemplars that it stands on. */

import { button, el, refill } from "../dom.js";
import { createEvidence, linksOf } from "./evidence.js";
import { W } from "./texts.js";

const A = W.ask;
const MOST_BARS = 8, LEAST = 0.005;

/** What an answer says, in one line. */
export const textOf = (answer) => answer.text || answer.labels.join(", ") || A.nothing;

/**
 * Make the view of an answer of POST /api/classify or /api/ask.
 * @param {Object} answer
 * @param {{fail: (error: Error) => void, actions: Node[]}} options `actions` are the buttons beside what was said
 * @returns {{node: HTMLElement, play: (place: number) => void, retire: () => void, destroy: () => void}} `retire` takes
 *   the buttons away, for an answer that is not the last
 */
export function createAnswer(answer, { fail, actions }) {
  const scores = (answer.scores ?? []).toSorted((a, b) => b.score - a.score);
  const buttons = el("div", { class: "row" }, actions);
  const evidence = createEvidence({ fail, actions: linksOf, label: A.evidence });
  const remarks = [...answer.notes, answer.caveat].filter(Boolean);
  const node = el("div", { class: "stack" }, el("div", { class: "row" }, el("p", { class: `answer${textOf(answer).length > 60 ? " long" : ""}` }, textOf(answer)),
      answer.confidence === null ? null : el("span", { class: "badge" }, A.confidence(answer.confidence)), el("span", { class: "grow" }), buttons),
    el("div", { class: "outcome" }, el("div", { class: "stack" }, answer.abstained ? el("p", { class: "warn" }, A.abstained(answer.reason)) : null,
    scores.length > 1 ? bars(scores) : null,
    remarks.length ? el("ul", { class: "notes" }, remarks.map((one) => el("li", {}, one))) : null,
    el("small", { class: "faint" }, A.by(answer.model, answer.evidence.length))), evidence.node));
  evidence.add(answer.evidence);
  return { node, play: evidence.play, retire: () => { evidence.pause(); refill(buttons); }, destroy: evidence.destroy };
}

function bars(scores) {
  const most = Math.max(1, ...scores.map((one) => one.score));
  const rows = (some) => some.map(({ label, score }) => el("tr", {}, el("th", { scope: "row" }, label),
    el("td", {}, el("meter", { min: 0, max: 1, value: score / most, "aria-hidden": "true" })), el("td", { class: "number" }, A.percent(score))));
  const n = Math.max(2, Math.min(MOST_BARS, scores.filter((one) => one.score >= LEAST).length));
  const body = el("tbody", {}, rows(scores.slice(0, n)));
  const rest = scores.slice(n);
  return el("div", { class: "scores" }, el("table", {}, el("caption", { class: "faint" }, A.scores), body),
    rest.length ? button(A.rest(rest.length), (event) => { body.append(...rows(rest)); event.currentTarget.remove(); }, { class: "plain" }) : null);
}
