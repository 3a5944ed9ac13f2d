// Combining events, and what the next request repeats of an answer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { StreamInvokeResponseSchema } from "../gen/bedrock/inference/v1/inference_service_pb";
import { Answer, repeated } from "../src/answer";

/** An answer of these events, each as [its name, its value]. */
function answerOf(...events) {
  const answer = new Answer();
  for (const [name, value] of events) {
    answer.apply(create(StreamInvokeResponseSchema, { event: { case: name, value } }));
  }
  return answer;
}

const start = (contentBlockIndex, name, value = {}) => ["contentBlockStart", { contentBlockIndex, start: { case: name, value } }];
const delta = (contentBlockIndex, name, value) => ["contentBlockDelta", { contentBlockIndex, delta: { case: name, value } }];
const stop = (contentBlockIndex) => ["contentBlockStop", { contentBlockIndex }];
const reasoning = (name, value) => delta(0, "reasoningContent", { delta: { case: name, value } });
const contents = (message) => message?.content.map(({ content }) => content);

test("blocks that overlap are distinguished by their index", () => {
  const answer = answerOf(
    start(0, "text"),
    delta(0, "text", "Let me "),
    start(1, "toolUse", { toolUseId: "t1", name: "get_weather" }),
    delta(1, "toolUse", { input: '{"city":' }),
    delta(0, "text", "see."),
    stop(0),
    delta(1, "toolUse", { input: '"Paris"}' }),
  );
  const [text, tool] = answer.blocks;
  assert.deepEqual([text.text, text.complete], ["Let me see.", true]);
  assert.deepEqual([tool.input, tool.complete], ['{"city":"Paris"}', false]);
  assert.deepEqual(answer.toolUses(), [tool]);
});

test("a delta of no block, or of another kind than its block, changes nothing", () => {
  const answer = answerOf(delta(7, "text", "lost"), start(0, "text"), delta(0, "toolUse", { input: "{}" }));
  assert.deepEqual(answer.blocks.map(({ text }) => text), [""]);
});

test("a tool that Bedrock runs itself is none of the caller's", () => {
  const answer = answerOf(start(0, "toolUse", { toolUseId: "s1", name: "search", type: "server_tool_use" }));
  assert.deepEqual(answer.toolUses(), []);
});

test("an image's bytes are joined, and what the page doesn't know is kept", () => {
  const bytes = (...values) => delta(0, "image", { source: { source: { case: "bytes", value: Uint8Array.from(values) } } });
  const answer = answerOf(start(0, "image", { formatName: "png" }), bytes(1, 2), bytes(3), ["unknown", { name: "new" }]);
  assert.deepEqual([...answer.blocks[0].bytes], [1, 2, 3]);
  assert.equal(answer.unknown.length, 1);
});

test("what is repeated: text, signed reasoning, and tools with their input as it came", () => {
  const answer = answerOf(
    start(0, "reasoningContent"),
    reasoning("text", "Hm."),
    reasoning("signature", "abc"),
    start(1, "text"),
    delta(1, "text", "Let me see."),
    start(2, "toolUse", { toolUseId: "t1", name: "now" }),
    start(3, "text"),
  );
  assert.deepEqual(
    contents(repeated(answer, true)).map(({ case: name }) => name),
    ["reasoningContent", "text", "toolUse"],
  );
  // A tool without input has an empty object.
  assert.equal(contents(repeated(answer, true))[2].value.input.value, "{}");
  // The tools of an answer that ended early were not run.
  assert.deepEqual(
    contents(repeated(answer, false)).map(({ case: name }) => name),
    ["reasoningContent", "text"],
  );
});

test("what is not repeated: unsigned reasoning, and tool input that was cut", () => {
  const cut = answerOf(start(0, "toolUse", { toolUseId: "t1", name: "now" }), delta(0, "toolUse", { input: '{"at":' }));
  assert.equal(repeated(cut, true), undefined);
  const unsigned = answerOf(start(0, "reasoningContent"), reasoning("text", "Hm."));
  assert.equal(repeated(unsigned, true), undefined);
  const redacted = answerOf(start(0, "reasoningContent"), reasoning("redactedContent", Uint8Array.of(1)), reasoning("redactedContent", Uint8Array.of(2)));
  assert.deepEqual([...contents(repeated(redacted, true))[0].value.content.value], [1, 2]);
});

test("text with citations is repeated with them", () => {
  const answer = answerOf(start(0, "text"), delta(0, "text", "167"), delta(0, "citation", { title: "notes" }));
  const [{ case: name, value }] = contents(repeated(answer, true));
  assert.equal(name, "citationsContent");
  assert.equal(value.content[0].content.value, "167");
  assert.deepEqual(value.citations.map(({ title }) => title), ["notes"]);
});
