// The state of the page, as a request.

import assert from "node:assert/strict";
import { test } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { StreamInvokeRequestSchema } from "../gen/bedrock/inference/v1/inference_service_pb";
import { attach, blockOf, documentName } from "../src/attachment";
import { isObject, jsonProblem, pretty } from "../src/json";
import { requestOf } from "../src/request";
import { EMPTY } from "./settings";

const json = (settings) => toJson(StreamInvokeRequestSchema, requestOf({ ...EMPTY, ...settings }, []));

test("what is not set is not sent: the model's defaults hold", () => {
  assert.deepEqual(json({ system: "  " }), { target: "claude", input: {} });
});

test("zeros are sent", () => {
  assert.deepEqual(json({ temperature: 0, topP: 0 }).input.inferenceConfig, { temperature: 0, topP: 0 });
});

test("a schema is sent as it was written", () => {
  const schema = '{ "b": 1.0, "a": 9007199254740993 }';
  const { toolConfig } = json({ tools: [{ name: "now", description: "", schema }], toolChoice: "tool:now" }).input;
  assert.deepEqual(toolConfig.tools, [{ toolSpec: { name: "now", inputSchema: { json: schema } } }]);
  assert.deepEqual(toolConfig.toolChoice, { tool: { name: "now" } });
});

test("a choice of tools is none of theirs by default, and nothing without tools", () => {
  const tools = [{ name: "now", description: "The time", schema: "{}" }];
  assert.equal(json({ tools, toolChoice: "auto" }).input.toolConfig.toolChoice, undefined);
  assert.deepEqual(json({ tools, toolChoice: "any" }).input.toolConfig.toolChoice, { any: {} });
  assert.equal(json({ tools: [], toolChoice: "any" }).input.toolConfig, undefined);
});

test("files go by their ending, what is pasted by its type", async () => {
  const image = await attach(new File(["x"], "Photo.JPEG"));
  assert.equal(blockOf(image).content.case, "image");
  assert.equal(blockOf(await attach(new File(["x"], "image", { type: "image/png" }))).content.case, "image");
  const cited = { ...(await attach(new File(["x"], "notes.md"))), cite: true };
  assert.equal(blockOf(cited).content.value.citations.enabled, true);
  await assert.rejects(attach(new File(["x"], "run.exe")), /run\.exe can't be attached/);
  await assert.rejects(attach(new File([], "empty.txt")), /empty\.txt is empty/);
});

test("documents have names that Bedrock takes", () => {
  assert.equal(documentName("Übersicht_2024 (v2).final.pdf"), "U bersicht 2024 (v2) final");
  assert.equal(documentName("日本.txt"), "document");
  assert.equal(documentName(`${"a".repeat(300)}.txt`).length, 200);
});

test("JSON that people write", () => {
  assert.equal(jsonProblem(" \n"), "");
  assert.equal(jsonProblem('{"a": 1}'), "");
  assert.match(jsonProblem('{"a": }'), /^Not JSON: /);
  assert.equal(pretty('{"a":1}'), '{\n  "a": 1\n}');
  assert.equal(pretty("sunny"), "sunny");
  assert.deepEqual(['{"a": 1}', "[1]", "null", '"x"', "sunny"].map(isObject), [true, false, false, false, false]);
});
