/** Evidence: exemplars that an answer or a search stands on, each to look at and to play. */

import { button, el, hashOf } from "../dom.js";
import { MOST_S, createPlayer } from "../player.js";
import { createSpectrogram, fetchGrey } from "../spectrogram.js";
import { T } from "../texts.js";
import { formatLength } from "../times.js";
import { W } from "./texts.js";

const E = W.evidence;

/**
 * Make a list of exemplars with pictures, which are fetched when they come into view.
 * @param {Object} options
 * @param {(error: Error) => void} options.fail
 * @param {"similarity"|"probability"} [options.compares] what the numbers are
 * @param {string} [options.label] what the list is called
 * @param {(hit: Object) => Node[]} [options.actions] further buttons of a card
 * @returns {{node: HTMLElement, add: (hits: Object[]) => void, clear: () => void, play: (place: number) => void, pause: () => void, destroy: () => void}}
 *   hits as the server's evidence: `source`, `audio`, `labels`, `answer`, `similarity`, `duration_s`, `licence`, `missing`
 */
export function createEvidence({ fail, compares = "similarity", label, actions = () => [] }) {
  const node = el("ol", { class: "evidence", "aria-label": label });
  let cards = [], heard = null;
  const player = createPlayer({
    time: (at) => heard?.picture.setCursor(at),
    state: (state) => heard?.tell(state),
    error: fail,
  });
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      cards.find((card) => card.node === target)?.draw();
    }
  }, { rootMargin: "300px" });

  function makeCard(hit) {
    const all = hit.duration_s ?? MOST_S;
    const piece = { source: hit.source, start_s: 0, end_s: Math.min(all, MOST_S) };
    const listen = (at) => {
      if (hit.missing) return;
      if (heard !== card) { heard?.picture.setCursor(null); heard?.tell("idle"); heard = card; player.load(piece); }
      if (at === undefined) player.toggle();
      else player.play(at);
    };
    const picture = createSpectrogram({ label: E.picture(hit.labels.join(", ") || hit.answer), axes: false, select: false, onClick: listen });
    const playButton = button(T.sound.play, () => listen(), { class: "strong", disabled: hit.missing, "aria-label": E.play(hit.audio) });
    const shown = compares === "probability" ? E.probability(hit.similarity) : E.similarity(hit.similarity);
    const title = hit.labels.length ? hit.labels.join(", ") : hit.answer || E.unlabelled;
    const denied = hit.not_labels?.length ? el("span", { class: "bad" }, E.not(hit.not_labels.join(", "))) : null;
    const card = {
      picture,
      play: listen,
      node: el("li", { class: `card piece${hit.missing ? " missing" : ""}` },
        el("div", { class: "thumb" }, picture.node),
        el("div", { class: "about" }, el("b", {}, title), denied, hit.labels.length && hit.answer !== title ? el("span", {}, hit.answer) : null,
          el("div", { class: "row bottom" }, el("meter", { min: 0, max: 1, value: Math.max(0, Math.min(hit.similarity, 1)), "aria-label": shown }), el("span", { class: "number" }, shown)),
          el("small", {}, [hit.audio, hit.duration_s ? formatLength(hit.duration_s) : "", hit.licence ? E.licence(hit.licence) : "", hit.missing ? E.missing : ""].filter(Boolean).join(" · "))),
        el("div", { class: "row acts" }, playButton, actions(hit))),
      draw() {
        picture.setRange(0, piece.end_s);
        picture.setLimits(0, piece.end_s);
        if (hit.missing) { picture.setMessage(E.missing); return; }
        fetchGrey({ ...piece, width: 512, height: 96 }).then((grey) => picture.setPictures([grey]), (error) => picture.setMessage(error.message));
      },
      tell(state) { playButton.firstChild.textContent = state === "playing" || state === "loading" ? T.sound.pause : T.sound.play; },
      destroy: () => picture.destroy(),
    };
    return card;
  }

  return {
    node,
    add(hits) {
      for (const hit of hits) {
        const card = makeCard(hit);
        cards.push(card);
        node.append(card.node);
        watcher.observe(card.node);
      }
    },
    clear() {
      player.stop();
      heard = null;
      for (const card of cards) { watcher.unobserve(card.node); card.destroy(); }
      cards = [];
      node.replaceChildren();
    },
    play: (place) => cards[place]?.play(),
    pause: () => player.pause(),
    destroy() {
      watcher.disconnect();
      for (const card of cards) card.destroy();
      player.destroy();
    },
  };
}

/** Links of a card: exemplars like it, and its place in a recording that a scan has looked at. */
export function linksOf({ source, recording }) {
  const links = [el("a", { class: "button", href: hashOf("search", { source }) }, E.moreLike)];
  if (recording) links.push(el("a", { class: "button", href: placeOf(recording) }, E.inRecording));
  return links;
}

/** Address of a stretch on the screen Recordings. */
export const placeOf = ({ source, scan, start_s, end_s }) => hashOf("recordings", { scan, source, from: start_s, to: end_s });
