/**
 * Tabs as in the ARIA practices: one stop for the Tab key, arrows, Home and End move between them, and the panel follows
 * the focus. Hidden tabs do not count.
 *
 * @param {HTMLElement} list the element with role="tablist"
 * @returns {{select: (tab: HTMLElement) => void, selected: () => HTMLElement}}
 */
export function tabs(list) {
  const all = [...list.querySelectorAll('[role="tab"]')];

  function select(chosen) {
    for (const tab of all) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  }

  const selected = () => all.find((tab) => tab.getAttribute("aria-selected") === "true");

  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab !== null) {
      select(tab);
    }
  });
  list.addEventListener("keydown", (event) => {
    const shown = all.filter((tab) => !tab.hidden);
    const at = shown.indexOf(selected());
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined) {
      return;
    }
    event.preventDefault();
    const next = shown[(to + shown.length) % shown.length];
    select(next);
    next.focus();
  });

  select(all[0]);
  return { select, selected };
}
