/** The server-sent events: the whole state first, then changes. */

const AGAIN_MS = 2000;

/**
 * Listen until the page is left. A lost connection is reopened, and the browser then sends the last id it saw.
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
    // The browser gives up after an answer that is not a stream, which a starting server may send.
    if (source.readyState === EventSource.CLOSED) {
      source.close();
      setTimeout(() => listen(url, onParts, onConnection), AGAIN_MS);
    }
  });
}
