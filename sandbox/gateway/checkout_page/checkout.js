/**
 * The stand-in's Checkout for a merchant's page: `new Razorpay(options).open()`, with the interface of Razorpay's own
 * script (payment-gateway/web-integration/standard/integration-steps.md, "Checkout Options").
 *
 * It opens the stand-in's frame over the page and passes the frame's messages to the merchant's callbacks. Nothing that
 * the customer types passes through here. Unknown options are ignored, as in Razorpay's script.
 */
(() => {
  "use strict";

  // Only a classic script knows its own URL, and only during its first run.
  if (document.currentScript === null) {
    throw new Error('Razorpay stand-in: load checkout.js with <script src="…">, not as a module.');
  }
  const ORIGIN = new URL(document.currentScript.src).origin;
  const FRAME = `${ORIGIN}/v1/checkout/frame`;
  const METHODS = ["card", "upi", "netbanking"];
  /** A frame that has sent nothing for this long has not loaded: one that loads sends a message at once. */
  const PATIENCE_MS = 15000;
  const PATIENCE_ONCE_LOADED_MS = 2000;

  /** The one open checkout; only one can be open at a time. */
  let current = null;

  class Razorpay {
    #options;
    #listeners = new Map();

    /**
     * @param {object} options as Razorpay documents them; `key` and `order_id` are required here.
     * @throws {Error} one of them is missing, or an option could never work; the message says which and why.
     */
    constructor(options) {
      this.#options = checked(options);
    }

    /**
     * Register a callback for an event. The only event is `payment.failed`, with `{error: {…}}`; events of Razorpay's
     * other products are accepted and never fire.
     */
    on(event, callback) {
      if (typeof callback !== "function") {
        throw new TypeError(`Razorpay.on("${event}"): the second argument must be a function.`);
      }
      this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), callback]);
      return this;
    }

    /** Show Checkout. Opening it twice has no effect; after it is closed, it can be opened again. */
    open() {
      if (current?.owner === this) {
        return;
      }
      if (current !== null) {
        throw new Error("Razorpay.open(): another checkout is open on this page; close() it first.");
      }
      current = new Sheet(this, this.#options, (event, payload) => this.#emit(event, payload));
    }

    /** Close Checkout. `ondismiss` is not called: it reports what the customer did, and this is the page's own doing. */
    close() {
      if (current?.owner === this) {
        current.remove();
      }
    }

    #emit(event, payload) {
      for (const callback of this.#listeners.get(event) ?? []) {
        // A listener that throws must not stop the next one, and its error must still reach the console.
        called(callback, payload);
      }
    }
  }

  /** One opening: the dialog over the page, from open() until it is removed, which happens once. */
  class Sheet {
    #options;
    #emit;
    #dialog = document.createElement("dialog");
    #frame = document.createElement("iframe");
    #ready = false;
    #open = true;
    #listening = new AbortController();
    #scrolling;

    constructor(owner, options, emit) {
      this.owner = owner;
      this.#options = options;
      this.#emit = emit;
      this.#show();
    }

    #show() {
      const { signal } = this.#listening;
      window.addEventListener("message", (message) => this.#hear(message), { signal });
      // Escape while the page has the focus; in the frame, the frame decides.
      window.addEventListener("keydown", (press) => this.#pressed(press), { signal, capture: true });
      this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
      // A browser may close a dialog whatever the page does, so that no page can trap its user.
      this.#dialog.addEventListener("close", () => this.#open && this.#dismiss());

      dress(this.#dialog, {
        position: "fixed", inset: "0", width: "100%", height: "100%", maxWidth: "none", maxHeight: "none",
        margin: "0", padding: "0", border: "0", background: "transparent", overflow: "hidden", outline: "none",
      });
      this.#dialog.setAttribute("aria-label", "Razorpay Checkout (test mode)");
      // The frame follows the user's colour scheme; an iframe with another scheme would be painted opaque.
      dress(this.#frame, { display: "block", width: "100%", height: "100%", border: "0", colorScheme: "light dark" });
      this.#frame.title = "Razorpay Checkout: stand-in for test mode";
      // The frame answers only this origin. An embedder that lies about its origin receives nothing.
      this.#frame.src = `${FRAME}#${encodeURIComponent(window.location.origin)}`;
      // Also if the browser shows an error page instead: the stand-in is gone, or a policy forbids frames.
      this.#frame.addEventListener("load", () => this.#giveUpIn(PATIENCE_ONCE_LOADED_MS));
      this.#dialog.append(this.#frame);

      this.#scrolling = lockScrolling();
      document.body.append(this.#dialog);
      // Modal: what is behind the dialog takes neither focus nor clicks, and is hidden from screen readers. The focus
      // waits on the dialog until the frame can take it, so that Escape works even if it never does.
      this.#dialog.tabIndex = -1;
      this.#dialog.showModal();
      this.#dialog.focus();

      this.#giveUpIn(PATIENCE_MS);
      if (this.#options.timeout !== null) {
        // It ends this checkout, not the order, which stays payable. The docs do not say whether ondismiss is called;
        // a page that waits has to hear that nothing will come.
        window.setTimeout(() => this.#dismiss(), this.#options.timeout * 1000);
      }
    }

    /** Both checks matter: the origin alone would trust another frame, the source alone a frame that has navigated. */
    #hear(message) {
      if (message.origin !== ORIGIN || message.source !== this.#frame.contentWindow) {
        return;
      }
      const { type, response, error } = message.data ?? {};
      switch (type) {
        case "ready":
          this.#ready = true;
          // The frame can take the focus now, and moves it to the right element.
          this.#frame.focus();
          this.#tell({ type: "open", options: this.#options.frame });
          break;
        case "paid":
          this.#succeed(response);
          break;
        case "failed":
          this.#fail(error);
          break;
        case "dismissed":
          this.#dismiss();
          break;
        default:
      }
    }

    #tell(message) {
      this.#frame.contentWindow.postMessage(message, ORIGIN);
    }

    /** The documented three fields; more if the stand-in plays a mobile SDK (its switch `checkout_platform`). */
    #succeed(response) {
      this.remove();
      if (this.#options.callbackUrl !== null) {
        post(this.#options.callbackUrl, response);
      } else if (this.#options.handler !== null) {
        called(this.#options.handler, response);
      }
    }

    #fail({ code, description, source, step, reason, metadata }) {
      const error = { code, description, source, step, reason, metadata };
      if (this.#options.callbackUrl !== null && this.#options.redirect) {
        // Either the page's events or the redirect, never both ("redirect" in the options).
        this.remove();
        const fields = Object.entries({ ...error, metadata: JSON.stringify(metadata) });
        post(this.#options.callbackUrl, Object.fromEntries(fields.map(([name, value]) => [`error[${name}]`, value])));
        return;
      }
      if (this.#options.retry) {
        // The frame shows the reason and offers another attempt on the same order.
        this.#emit("payment.failed", { error });
        return;
      }
      // "If retry is false, the ondismiss function is triggered when checkout closes, even after a failure." That it
      // closes by itself, and after the event, the docs leave open.
      this.remove();
      this.#emit("payment.failed", { error });
      this.#tellDismissed();
    }

    #dismiss() {
      if (this.#open) {
        this.remove();
        this.#tellDismissed();
      }
    }

    #tellDismissed() {
      if (this.#options.ondismiss !== null) {
        called(this.#options.ondismiss);
      }
    }

    #pressed(press) {
      if (press.key !== "Escape") {
        return;
      }
      press.preventDefault();
      press.stopPropagation();
      if (this.#ready) {
        this.#tell({ type: "escape" });
      } else if (this.#options.frame.modal.escape) {
        this.#dismiss();
      }
    }

    #giveUpIn(milliseconds) {
      window.setTimeout(() => this.#giveUp(), milliseconds);
    }

    #giveUp() {
      if (!this.#ready && this.#open) {
        console.error(
          `Razorpay stand-in: ${FRAME} did not answer. Is the stand-in running, and does this page's ` +
            `Content-Security-Policy have "frame-src ${ORIGIN}"?`,
        );
        this.#dismiss();
      }
    }

    /** Remove the dialog and restore the page: its scrolling, its focus, its open(). */
    remove() {
      if (!this.#open) {
        return;
      }
      this.#open = false;
      current = null;
      this.#listening.abort();
      // Closing gives the focus back to what had it, as every dialog does.
      this.#dialog.close();
      this.#dialog.remove();
      this.#scrolling.restore();
    }
  }

  /** The options as this script uses them, with Razorpay's defaults. */
  function checked(given) {
    const options = given ?? {};
    for (const [name, where] of [["key", "the API key id"], ["order_id", "the id that POST /v1/orders answered"]]) {
      if (typeof options[name] !== "string" || options[name] === "") {
        // Razorpay accepts payments without an order and refunds each of them; no shop intends that.
        throw new Error(`Razorpay Checkout: the option "${name}" is missing. It must be ${where}.`);
      }
    }
    const { prefill = {}, modal = {}, readonly = {}, theme = {} } = withoutNulls(options);
    const timeout = options.timeout === undefined || options.timeout === null ? null : Number(options.timeout);
    if (timeout !== null && !(timeout > 0)) {
      throw new Error('Razorpay Checkout: the option "timeout" must be a number of seconds above 0.');
    }
    return {
      handler: typeof options.handler === "function" ? options.handler : null,
      ondismiss: typeof modal.ondismiss === "function" ? modal.ondismiss : null,
      callbackUrl: callbackUrl(options.callback_url),
      redirect: isTrue(options.redirect),
      retry: !isFalse(typeof options.retry === "object" ? options.retry?.enabled : options.retry),
      timeout,
      // What the frame receives: plain data, so that it can be posted. Not the amount: the order's own counts.
      frame: {
        key: options.key,
        orderId: options.order_id,
        name: text(options.name),
        description: text(options.description),
        image: image(options.image),
        color: /^#[0-9a-f]{6}$/i.test(theme.color) ? theme.color : null,
        hidden: hidden(options.config?.display?.hide),
        notes: options.notes === undefined ? {} : JSON.parse(JSON.stringify(options.notes)),
        prefill: {
          name: text(prefill.name),
          email: text(prefill.email),
          contact: text(prefill.contact),
          method: METHODS.includes(prefill.method) ? prefill.method : null,
        },
        readonly: { name: isTrue(readonly.name), email: isTrue(readonly.email), contact: isTrue(readonly.contact) },
        modal: {
          escape: !isFalse(modal.escape),
          backdropclose: isTrue(modal.backdropclose),
          confirmClose: isTrue(modal.confirm_close),
          animation: !isFalse(modal.animation),
        },
      },
    };
  }

  function withoutNulls(options) {
    return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
  }

  /** `config.display.hide`: methods, or some flows of one. What it does not know there is ignored as elsewhere. */
  function hidden(given) {
    return (Array.isArray(given) ? given : [])
      .filter((rule) => METHODS.includes(rule?.method))
      .map(({ method, flows }) => ({ method, flows: Array.isArray(flows) ? flows.map(String) : null }));
  }

  // Options can also be strings, from data- attributes and templates.
  function isTrue(given) {
    return given === true || given === "true";
  }

  function isFalse(given) {
    return given === false || given === "false";
  }

  function text(given) {
    return given === undefined || given === null ? "" : String(given);
  }

  /** Resolve it as the page would: the frame has a different base URL. */
  function image(given) {
    return text(given) === "" ? "" : new URL(given, document.baseURI).href;
  }

  function callbackUrl(given) {
    if (text(given) === "") {
      return null;
    }
    const url = new URL(given, document.baseURI);
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      throw new Error('Razorpay Checkout: the option "callback_url" must begin with https:// or http://.');
    }
    return url.href;
  }

  /** Leave the page for `url`, posting the fields as a form; the URL's own query is kept. */
  function post(url, fields) {
    const form = document.createElement("form");
    form.method = "post";
    form.action = url;
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
  }

  /** Call the merchant's code. What it throws is reported like any uncaught error and affects nothing else. */
  function called(callback, ...given) {
    try {
      callback(...given);
    } catch (error) {
      reportError(error);
    }
  }

  function lockScrolling() {
    const { style } = document.documentElement;
    const before = { overflow: style.overflow, paddingRight: style.paddingRight };
    // The width of the scroll bar that disappears, so that the page behind does not jump.
    const bar = window.innerWidth - document.documentElement.clientWidth;
    style.overflow = "hidden";
    if (bar > 0) {
      style.paddingRight = `${bar}px`;
    }
    return { restore: () => Object.assign(style, before) };
  }

  /** Set one property at a time: a Content-Security-Policy allows that, but not a style attribute. */
  function dress(element, properties) {
    Object.assign(element.style, properties);
  }

  window.Razorpay = Razorpay;
})();
