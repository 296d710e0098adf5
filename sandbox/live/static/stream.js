/** The server-sent events: the whole state first, then changes. */

const AGAIN_MS = 2000;

/**
 * Listens until the page is left. A lost connection is made again; the browser then says what it saw last.
 *
 * @param {string} url
 * @param {(parts: Record<string, any>, whole: boolean) => void} onParts
 * @param {(state: "live" | "lost") => void} onConnection
 */
export function listen(url, onParts, onConnection) {
  const source = new EventSource(url);
  source.addEventListener("open", () => onConnection("live"));
  source.addEventListener("state", (event) => onParts(JSON.parse(event.data).parts, true));
  source.addEventListener("change", (event) => onParts(JSON.parse(event.data).parts, false));
  source.addEventListener("error", () => {
    onConnection("lost");
    // After an answer that is no stream the browser gives up; a server that is just starting may give one.
    if (source.readyState === EventSource.CLOSED) {
      source.close();
      setTimeout(() => listen(url, onParts, onConnection), AGAIN_MS);
    }
  });
}
