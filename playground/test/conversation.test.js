// Which turns the next request repeats.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { MessageSchema, Role } from "../gen/bedrock/inference/v1/content_pb";
import { StreamInvokeRequestSchema, StreamInvokeResponseSchema } from "../gen/bedrock/inference/v1/inference_service_pb";
import { Conversation, Exchange } from "../src/conversation";

function exchange(question, outcome, ...starts) {
  const message = create(MessageSchema, { role: Role.USER, content: [{ content: { case: "text", value: question } }] });
  const exchange = new Exchange(message, create(StreamInvokeRequestSchema));
  for (const [contentBlockIndex, [start, delta]] of starts.entries()) {
    const events = [
      { case: "contentBlockStart", value: { contentBlockIndex, start } },
      { case: "contentBlockDelta", value: { contentBlockIndex, delta } },
    ];
    for (const event of events) {
      exchange.answer.apply(create(StreamInvokeResponseSchema, { event }));
    }
  }
  exchange.outcome = outcome;
  return exchange;
}

const text = (value) => [{ case: "text", value: {} }, { case: "text", value }];
const tool = (toolUseId) => [{ case: "toolUse", value: { toolUseId, name: "now" } }, { case: "toolUse", value: { input: "{}" } }];
const failed = { failure: {} };

function conversation(...exchanges) {
  const conversation = new Conversation();
  conversation.exchanges.push(...exchanges);
  return conversation;
}

test("roles take turns: a question without an answer is not repeated", () => {
  const asked = conversation(exchange("one", "done", text("1")), exchange("two", failed), exchange("three", "stopped", text("3")));
  assert.deepEqual(
    asked.history().map(({ role, content: [{ content }] }) => [role, content.value]),
    [
      [Role.USER, "one"],
      [Role.ASSISTANT, "1"],
      [Role.USER, "three"],
      [Role.ASSISTANT, "3"],
    ],
  );
});

test("tools are waited for until their results are sent, over attempts that failed", () => {
  const called = exchange("one", "done", tool("t1"));
  assert.deepEqual(conversation(called).awaiting()?.tools.map(({ id }) => id), ["t1"]);
  assert.equal(conversation(called, exchange("results", failed)).awaiting()?.exchange, called);
  assert.equal(conversation(called, exchange("results", "running")).awaiting(), undefined);
  assert.equal(conversation(called, exchange("results", "done", text("noon"))).awaiting(), undefined);
});

test("a call of a tool in an answer that ended early is not waited for", () => {
  assert.equal(conversation(exchange("one", "stopped", text("So:"), tool("t1"))).awaiting(), undefined);
});

test("rewinding forgets an exchange and all after it", () => {
  const exchanges = ["one", "two", "three"].map((question) => exchange(question, "done", text("yes")));
  const asked = conversation(...exchanges);
  asked.rewind(exchanges[1]);
  assert.deepEqual(asked.exchanges, [exchanges[0]]);
  asked.rewind(exchanges[2]);
  assert.deepEqual(asked.exchanges, [exchanges[0]]);
});
