// The API key or token of the caller. It is kept in memory only: never in storage, in the URL or in
// generated code.

import type { Interceptor } from "@connectrpc/connect";

export class Credential {
  #text = "";

  /** Sets the key. The empty text removes it. */
  set(text: string): void {
    this.#text = text.trim();
  }

  /** Sends the key with each call. */
  readonly authorize: Interceptor = (next) => (request) => {
    if (this.#text !== "") {
      request.header.set("authorization", `Bearer ${this.#text}`);
    }
    return next(request);
  };
}
