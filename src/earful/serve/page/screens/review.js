import { el } from "../dom.js";
import { T } from "../texts.js";

export const screen = { id: "review", title: T.app.screens.review, mount: (root) => { root.append(el("h1", {}, T.app.screens.review), el("p", { class: "faint" }, T.app.loading)); } };
