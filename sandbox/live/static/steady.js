/** Keeps what somebody is looking at where it is, while things are added above it. */

/**
 * Makes a change to the page, and scrolls by as much as it moved what has focus, or else the first card that is in view.
 * At the top of the page nothing is scrolled: whoever is there wants to see what is new.
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
