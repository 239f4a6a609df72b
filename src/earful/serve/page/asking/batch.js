/** Several sounds asked about one after another: a table of their answers, to open and to take away. */

import { ApiError, post } from "../api.js";
import { button, el, refill } from "../dom.js";
import { textOf } from "./answer.js";
import { sendFile } from "./sound_choice.js";
import { W } from "./texts.js";

const A = W.ask;

/**
 * Ask the same of every file.
 * @param {Object} options
 * @param {File[]} options.files
 * @param {Object} options.context of the screen
 * @param {(audio: Object) => [string, Object]} options.question path and body of the request about a sound
 * @param {(file: File) => void} options.onOpen somebody wants to see one
 * @param {AbortSignal} options.signal
 * @returns {{node: HTMLElement, done: Promise<void>}}
 */
export function askEach({ files, context, question, onOpen, signal }) {
  const told = el("p", { class: "faint grow", role: "status" }, A.batch(0, files.length)), bar = el("progress", { max: files.length, "aria-label": A.batchTitle });
  const csv = button(A.csv, () => save(rows), { disabled: true });
  const rows = files.map((file) => ({ file, answer: null, fault: "", cells: [el("td", {}), el("td", { class: "faint" }, A.batchWaits), el("td", { class: "number" }), el("td", {})] }));
  for (const { file, cells } of rows) refill(cells[0], file.name);
  const node = el("section", { class: "card stack" }, el("div", { class: "row" }, el("h2", {}, A.batchTitle), told, bar, csv),
    el("div", { class: "scroll" }, el("table", { class: "list batch" }, el("thead", {}, el("tr", {}, Object.values(A.batchColumns).map((one) => el("th", { scope: "col" }, one)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.cells))))));

  async function run() {
    let done = 0;
    for (const row of rows) {
      const [, said, sure, more] = row.cells;
      if (signal.aborted) { said.textContent = A.batchStopped; continue; }
      said.textContent = A.batchRuns;
      try {
        const sent = await sendFile(row.file, context, signal);
        row.answer = await post(...question({ source: sent.source }), { signal });
        said.className = row.answer.abstained ? "warn" : "";
        said.textContent = textOf(row.answer);
        sure.textContent = row.answer.confidence === null ? "" : A.percent(row.answer.confidence);
      } catch (error) {
        if (error.name === "AbortError") { said.textContent = A.batchStopped; continue; }
        if (!(error instanceof ApiError)) throw error;
        row.fault = error.message;
        said.className = "bad";
        // Its name stands beside it.
        said.textContent = error.message.replace(`${row.file.name}: `, "");
      }
      refill(more, button(A.open, () => onOpen(row.file), { "aria-label": `${A.open} ${row.file.name}` }));
      done += 1;
      told.textContent = A.batch(done, files.length);
      bar.value = done;
      csv.disabled = false;
    }
    bar.hidden = true;
  }

  return { node, done: run() };
}

function save(rows) {
  // What a spreadsheet would run as a formula begins with an apostrophe.
  const cell = (value) => `"${String(value ?? "").replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
  const lines = [["sound", "answer", "confidence", "abstained", "fault"], ...rows.filter((row) => row.answer || row.fault).map(
    ({ file, answer, fault }) => [file.name, answer ? textOf(answer) : "", answer?.confidence ?? "", answer?.abstained ?? "", fault])];
  const url = URL.createObjectURL(new Blob([lines.map((line) => line.map(cell).join(",")).join("\r\n"), "\r\n"], { type: "text/csv" }));
  el("a", { href: url, download: A.csvName }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
