/** Keep the viewer's place while content is added above it. */

/**
 * Change the page, and scroll by as much as the change moved the focused element, or else the first visible card. At the
 * top of the page do not scroll: the viewer wants to see what is new.
 *
 * @param {HTMLElement} cards
 * @param {() => void} change
 */
export function steadily(cards, change) {
  const held = window.scrollY > 0 ? focused() ?? [...cards.children].find(isInView) : undefined;
  const before = held?.getBoundingClientRect().top;
  change();
  if (held?.isConnected) {
    const moved = held.getBoundingClientRect().top - before;
    if (moved !== 0) {
      window.scrollBy({ top: moved, behavior: "instant" });
    }
  }
}

function focused() {
  const element = document.activeElement;
  return element !== null && element !== document.body && isInView(element) ? element : undefined;
}

function isInView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}
