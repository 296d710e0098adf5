/** The icons, drawn in the text's colour. They only repeat the text next to them, so screen readers skip them. */

const SVG = "http://www.w3.org/2000/svg";

/** Paths on a 24 by 24 grid. */
const PATHS = {
  good: "M4 12.5l5.5 5.5L20 6.5",
  bad: "M6 6l12 12M18 6L6 18",
  wait: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 7.5v5l3 2",
  look: "M12 3.5L2.5 20.5h19zM12 10v4.5M12 17.5v.1",
  plain: "M12 8.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7",
  turn: "M20 12a8 8 0 1 1-2.8-6.1",
  play: "M7 4.5v15l12-7.5z",
};

/**
 * @param {keyof typeof PATHS} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  drawing.append(path);
  draw(drawing, name);
  return drawing;
}

/**
 * Replace an icon with another one.
 *
 * @param {Element} drawing
 * @param {keyof typeof PATHS} name
 */
export function draw(drawing, name) {
  const path = drawing.firstElementChild;
  if (path.getAttribute("d") !== PATHS[name]) {
    path.setAttribute("d", PATHS[name]);
  }
}
