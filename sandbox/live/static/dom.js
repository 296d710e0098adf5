/** DOM functions: create elements, change only what differs, and update lists without recreating them. */

/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes] `class`, `data-…` and the like
 * @param {...(Node | string)} children text is taken as text
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/**
 * Set a text only if it differs, so that screen readers and selections are not disturbed.
 *
 * @param {Element} where
 * @param {string} text
 */
export function say(where, text) {
  if (where.textContent !== text) {
    where.textContent = text;
  }
}

/**
 * Set an attribute only if it differs; null removes it.
 *
 * @param {Element} where
 * @param {string} name
 * @param {string | null} value
 */
export function mark(where, name, value) {
  if (value === null) {
    where.removeAttribute(name);
  } else if (where.getAttribute(name) !== value) {
    where.setAttribute(name, value);
  }
}

/**
 * Return the named part of an element: `data-part="name"`.
 *
 * @param {Element} whole
 * @param {string} name
 * @returns {HTMLElement}
 */
export function part(whole, name) {
  return /** @type {HTMLElement} */ (whole.querySelector(`[data-part="${name}"]`));
}

/**
 * Make the children of an element match the items, in order. An existing child is updated and, if its position is right,
 * otherwise left alone: focus, opened details and scroll position stay.
 *
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement} make
 * @param {(child: HTMLElement, item: T) => void} update
 */
export function keep(parent, items, keyOf, make, update) {
  const known = new Map();
  const wanted = new Set(items.map(keyOf));
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) {
      known.set(child.dataset.key, child);
    } else {
      child.remove();
    }
  }
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = known.get(key);
    if (child === undefined) {
      child = make(item);
      child.dataset.key = key;
      parent.insertBefore(child, next);
    } else if (child === next) {
      next = next.nextElementSibling;
    } else {
      parent.insertBefore(child, next);
    }
    update(child, item);
  }
}
