import { el } from "../dom.js";
import { T } from "../texts.js";

export const screen = { id: "recordings", title: T.app.screens.recordings, mount: (root) => { root.append(el("h1", {}, T.app.screens.recordings), el("p", { class: "faint" }, T.app.loading)); } };
