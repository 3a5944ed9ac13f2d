// The key of the caller.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Credential } from "../src/credential";

/** What a call sends as `authorization`. */
async function sent(credential) {
  const request = { header: new Headers() };
  const answer = await credential.authorize(async (passed) => passed)(request);
  assert.equal(answer, request);
  return request.header.get("authorization");
}

test("a key is sent with each call until it is removed", async () => {
  const credential = new Credential();
  assert.equal(await sent(credential), null);
  credential.set(" bgrpc_key\n");
  assert.equal(await sent(credential), "Bearer bgrpc_key");
  assert.equal(await sent(credential), "Bearer bgrpc_key");
  credential.set("");
  assert.equal(await sent(credential), null);
});

test("a key is not visible in what is logged or stored", () => {
  const credential = new Credential();
  credential.set("canary");
  assert.ok(!JSON.stringify(credential).includes("canary"));
  assert.ok(!Object.values(credential).includes("canary"));
});
