/**
 * How UPI is offered in 2026 (announcements/upi-collect-migration/standard-integration.md). Since 28 February 2026
 * customers no longer type a UPI ID, except on iOS: a desktop shows a QR code, a phone opens the customer's app.
 */

/** @typedef {"qr" | "intent" | "collect"} Flow */

const FLOWS = { desktop: ["qr"], android: ["intent"], ios: ["intent", "collect"] };

/**
 * @param {{userAgent: string, maxTouchPoints: number}} browser the browser's own `navigator`
 * @returns {keyof typeof FLOWS}
 */
function platformOf({ userAgent, maxTouchPoints }) {
  if (/Android/.test(userAgent)) {
    return "android";
  }
  // An iPad claims to be a Macintosh, but has touch points, which no Macintosh has.
  return /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1) ? "ios" : "desktop";
}

/**
 * @param {{userAgent: string, maxTouchPoints: number}} browser
 * @param {{method: string, flows: string[] | null}[]} hidden `config.display.hide`; without flows, the whole method
 * @returns {Flow[]} empty if UPI is not offered
 */
export function flowsOf(browser, hidden) {
  const rules = hidden.filter(({ method }) => method === "upi");
  return FLOWS[platformOf(browser)].filter((flow) => !rules.some(({ flows }) => flows === null || flows.includes(flow)));
}

const SIDE = 25;
const SVG = "http://www.w3.org/2000/svg";

/**
 * An image that only looks like a QR code: there is nothing to pay to.
 *
 * @param {string} text the text that determines the pattern
 * @returns {SVGElement}
 */
export function qrPicture(text) {
  let state = [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7);
  let path = "";
  const square = (x, y, width, height = width) => `M${x} ${y}h${width}v${height}h-${width}z`;
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const inCorner = (x < 8 && y < 8) || (x > SIDE - 9 && y < 8) || (x < 8 && y > SIDE - 9);
      const inMiddle = x > 6 && x < SIDE - 7 && y > 9 && y < SIDE - 10;
      if (!inCorner && !inMiddle && state > 0x80000000) {
        path += square(x, y, 1);
      }
    }
  }
  for (const [x, y] of [[0, 0], [SIDE - 7, 0], [0, SIDE - 7]]) {
    // A ring, drawn as its outside and, in reverse direction, its inside, plus its centre.
    path += `${square(x, y, 7)}M${x + 1} ${y + 1}v5h5v-5z${square(x + 2, y + 2, 3)}`;
  }
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `-2 -2 ${SIDE + 4} ${SIDE + 4}`);
  drawing.setAttribute("class", "qr");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", "A picture in place of the QR code");
  const modules = document.createElementNS(SVG, "path");
  modules.setAttribute("d", path);
  const label = document.createElementNS(SVG, "text");
  label.setAttribute("x", String(SIDE / 2));
  label.setAttribute("y", String(SIDE / 2 + 1));
  label.textContent = "TEST";
  drawing.append(modules, label);
  return drawing;
}
