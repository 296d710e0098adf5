/**
 * The signed-in client, their access token from the platform's identity service, and the platform's prices for them.
 *
 * The token stays in this module's memory, because any script that gets onto the page can read localStorage. Only the
 * identity service's own cookie survives a reload, and no script can read that.
 */

// Renew it a little early, so that it does not expire while a request is on its way.
const RENEW_BEFORE_S = 20;

let current = null;

/**
 * @param {{startOver?: boolean, fresh?: boolean}} [options] `startOver`: become another client, with their own
 *   proposals; `fresh`: renew the token even if it should still be valid.
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

/** @returns {Promise<string>} Only for the payment service's Authorization header. */
export async function token({ fresh = false } = {}) {
  return (await session({ fresh })).access_token;
}

/**
 * Get the platform's price for one proposal, signed for this client.
 *
 * @param {number} applicationId
 * @returns {Promise<string>} What create-order takes as `quote`. It expires within minutes: get one for each order.
 */
export async function quote(applicationId) {
  const answer = await fetch(`/quotes/${applicationId}`, { method: "POST" });
  if (!answer.ok) {
    throw new Error(`The shop's own server answered ${answer.status}.`);
  }
  return (await answer.json()).quote;
}
