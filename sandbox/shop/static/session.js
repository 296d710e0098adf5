/**
 * The signed-in client and their access token, as the platform's identity service hands it out.
 *
 * The token lives in this module's memory only: whatever is in localStorage, any script that gets onto the page can
 * read. What survives a reload is the identity service's own cookie, which no script can.
 */

// Renewed a little before it ends, so that no request starts with one that expires on the way.
const RENEW_BEFORE_S = 20;

let current = null;

/**
 * @param {{startOver?: boolean, fresh?: boolean}} [options] `startOver`: become another client, with proposals of their
 *   own; `fresh`: renew the token though it should still be good.
 * @returns {Promise<{user_id: number, name: string, proposals: object[]}>}
 */
export async function session({ startOver = false, fresh = false } = {}) {
  if (startOver || fresh || current === null || Date.now() > current.renewAt) {
    const answer = await fetch(startOver ? "/session/new" : "/session", { method: "POST" });
    if (!answer.ok) {
      throw new Error(`The shop's own server answered ${answer.status}.`);
    }
    const given = await answer.json();
    current = { ...given, renewAt: Date.now() + (given.expires_in - RENEW_BEFORE_S) * 1000 };
  }
  return current;
}

/** @returns {Promise<string>} For the Authorization header of the payment service, and nobody else. */
export async function token({ fresh = false } = {}) {
  return (await session({ fresh })).access_token;
}
