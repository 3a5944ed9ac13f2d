// The emulator from the view of the unmodified AWS SDK for JavaScript. BEDROCK_EMULATOR_URL and
// BEDROCK_EMULATOR_TLS_URL name its endpoints; NODE_EXTRA_CA_CERTS names the CA to trust.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BedrockClient,
  CreateInferenceProfileCommand,
  DeleteInferenceProfileCommand,
  GetInferenceProfileCommand,
  ListFoundationModelsCommand,
  ListInferenceProfilesCommand,
  ListTagsForResourceCommand,
  TagResourceCommand,
  UntagResourceCommand,
  paginateListInferenceProfiles,
} from "@aws-sdk/client-bedrock";
import {
  ApplyGuardrailCommand,
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  CountTokensCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const endpoint = process.env.BEDROCK_EMULATOR_URL;
assert.ok(endpoint, "BEDROCK_EMULATOR_URL is not set");

const modelId = "us.amazon.nova-lite-v1:0";
const messages = [{ role: "user", content: [{ text: "Say hi to JavaScript" }] }];

// The runtime client prefers HTTP/2, which the emulator serves only with TLS; plain HTTP needs the
// HTTP/1.1 handler.
const options = (secretAccessKey = "emulator-secret-access-key", region = "us-east-1") => ({
  endpoint,
  region,
  credentials: { accessKeyId: "EMULATOR", secretAccessKey },
  maxAttempts: 1,
  requestHandler: new NodeHttpHandler(),
});
const runtime = new BedrockRuntimeClient(options());
const control = new BedrockClient(options());

async function collect(id, events = []) {
  const { stream } = await runtime.send(new ConverseStreamCommand({ modelId: id, messages }));
  for await (const event of stream) events.push(event);
  return events;
}

const textOf = (events) => events.map((event) => event.contentBlockDelta?.delta?.text ?? "").join("");

test("ConverseStream", async () => {
  const events = await collect(modelId);
  const names = events.map((event) => Object.keys(event)[0]);
  assert.equal(names[0], "messageStart");
  assert.deepEqual(names.slice(-2), ["messageStop", "metadata"]);
  assert.ok(textOf(events).length > 0);
  const { usage } = events.at(-1).metadata;
  assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
});

test("ConverseStream over HTTP/2, as the SDK does by itself", async () => {
  const { requestHandler, ...rest } = options();
  const client = new BedrockRuntimeClient({ ...rest, endpoint: process.env.BEDROCK_EMULATOR_TLS_URL });
  const { stream } = await client.send(new ConverseStreamCommand({ modelId, messages }));
  const events = [];
  for await (const event of stream) events.push(event);
  assert.equal(textOf(events), textOf(await collect(modelId)));
  client.destroy();
  const { calls } = await (await fetch(`${endpoint}/_emulator/calls`)).json();
  assert.ok(calls.some((call) => call.httpVersion === "HTTP/2.0"));
});

test("Converse gives the same text", async () => {
  const answer = await runtime.send(new ConverseCommand({ modelId, messages }));
  assert.equal(answer.output.message.role, "assistant");
  assert.equal(answer.output.message.content[0].text, textOf(await collect(modelId)));
  assert.equal(answer.stopReason, "end_turn");
  assert.equal(answer.$metadata.requestId.length, 36);
});

test("ListInferenceProfiles by pages", async () => {
  const whole = await control.send(new ListInferenceProfilesCommand({ maxResults: 1000 }));
  const paged = [];
  let pages = 0;
  for await (const page of paginateListInferenceProfiles({ client: control, pageSize: 3 }, {})) {
    pages += 1;
    paged.push(...page.inferenceProfileSummaries);
  }
  assert.ok(pages > 2);
  assert.deepEqual(paged, whole.inferenceProfileSummaries);
  const own = await control.send(new ListInferenceProfilesCommand({ typeEquals: "APPLICATION" }));
  assert.ok(own.inferenceProfileSummaries.length > 0);
  assert.ok(own.inferenceProfileSummaries.every((profile) => profile.type === "APPLICATION"));
});

test("GetInferenceProfile by ID and by ARN, and Converse with the ARN", async () => {
  const get = (id) => control.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier: id }));
  const byId = await get(modelId);
  assert.equal(byId.status, "ACTIVE");
  assert.ok(byId.createdAt instanceof Date);
  assert.deepEqual(
    byId.models.map((model) => model.modelArn.split(":")[3]),
    ["us-east-1", "us-east-2", "us-west-2"],
  );
  const byArn = await get(byId.inferenceProfileArn);
  assert.equal(byArn.inferenceProfileId, modelId);
  const answer = await runtime.send(new ConverseCommand({ modelId: byId.inferenceProfileArn, messages }));
  assert.equal(answer.stopReason, "end_turn");
  await assert.rejects(
    new BedrockClient(options(undefined, "eu-west-1")).send(
      new GetInferenceProfileCommand({ inferenceProfileIdentifier: modelId }),
    ),
    { name: "ResourceNotFoundException" },
  );
});

test("an application profile, from CreateInferenceProfile to DeleteInferenceProfile", async () => {
  const { inferenceProfileArn: copyFrom } = await control.send(
    new GetInferenceProfileCommand({ inferenceProfileIdentifier: modelId }),
  );
  const created = await control.send(
    new CreateInferenceProfileCommand({
      inferenceProfileName: "javascript",
      modelSource: { copyFrom },
      tags: [{ key: "tenant", value: "a" }],
    }),
  );
  const resourceARN = created.inferenceProfileArn;
  await control.send(new TagResourceCommand({ resourceARN, tags: [{ key: "team", value: "web" }] }));
  await control.send(new UntagResourceCommand({ resourceARN, tagKeys: ["tenant"] }));
  const { tags } = await control.send(new ListTagsForResourceCommand({ resourceARN }));
  assert.deepEqual(tags, [{ key: "team", value: "web" }]);
  assert.ok(textOf(await collect(resourceARN)).length > 0);
  const identifier = { inferenceProfileIdentifier: resourceARN };
  await control.send(new DeleteInferenceProfileCommand(identifier));
  await assert.rejects(control.send(new GetInferenceProfileCommand(identifier)), {
    name: "ResourceNotFoundException",
  });
});

test("CountTokens", async () => {
  const count = (id) => runtime.send(new CountTokensCommand({ modelId: id, input: { converse: { messages } } }));
  const { inputTokens } = await count("anthropic.claude-sonnet-4-5-20250929-v1:0");
  assert.ok(inputTokens > 0);
  await assert.rejects(count("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), { name: "ValidationException" });
});

test("ApplyGuardrail", async () => {
  const apply = (text, guardrailIdentifier = "gr1") =>
    runtime.send(
      new ApplyGuardrailCommand({ guardrailIdentifier, guardrailVersion: "DRAFT", source: "INPUT", content: [{ text: { text } }] }),
    );
  const blocked = await apply("emulate:guardrail_block");
  assert.equal(blocked.action, "GUARDRAIL_INTERVENED");
  assert.equal(blocked.assessments[0].wordPolicy.customWords[0].action, "BLOCKED");
  assert.equal(blocked.outputs.length, 1);
  const passed = await apply("Hello");
  assert.deepEqual([passed.action, passed.outputs], ["NONE", []]);
  assert.equal(passed.usage.topicPolicyUnits, 1);
  await assert.rejects(apply("Hello", "Not a guardrail"), { name: "ValidationException" });
});

test("ListFoundationModels", async () => {
  const { modelSummaries } = await control.send(new ListFoundationModelsCommand({ byProvider: "Amazon" }));
  const streams = (modality) =>
    modelSummaries.filter((model) => model.outputModalities.includes(modality)).map((model) => model.responseStreamingSupported);
  assert.deepEqual([...new Set(streams("TEXT"))], [true]);
  assert.deepEqual([...new Set(streams("EMBEDDING"))], [false]);
});

test("InvokeModelWithResponseStream", async () => {
  const question = [{ role: "user", content: "Say hi to JavaScript" }];
  const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 50, messages: question });
  const command = new InvokeModelWithResponseStreamCommand({ modelId: "us.anthropic.claude-sonnet-5", body });
  const answered = await runtime.send(command);
  const chunks = [];
  for await (const event of answered.body) chunks.push(JSON.parse(new TextDecoder().decode(event.chunk.bytes)));
  assert.equal(chunks[0].type, "message_start");
  assert.equal(chunks.at(-1).type, "message_stop");
  const { outputTokenCount } = chunks.at(-1)["amazon-bedrock-invocationMetrics"];
  assert.equal(outputTokenCount, chunks.at(-2).usage.output_tokens);
});

const before = [
  ["validation", "ValidationException", 400],
  ["access-denied", "AccessDeniedException", 403],
  ["resource-not-found", "ResourceNotFoundException", 404],
  ["model-timeout", "ModelTimeoutException", 408],
  ["model-error", "ModelErrorException", 424],
  ["throttling", "ThrottlingException", 429],
  ["model-not-ready", "ModelNotReadyException", 429],
  ["internal", "InternalServerException", 500],
  ["service-unavailable", "ServiceUnavailableException", 503],
];
for (const [fault, name, httpStatusCode] of before) {
  test(`${name} before the stream`, async () => {
    const input = { modelId: `${modelId}.fault-${fault}`, messages };
    for (const command of [new ConverseCommand(input), new ConverseStreamCommand(input)]) {
      await assert.rejects(runtime.send(command), (error) => {
        assert.equal(error.name, name);
        assert.equal(error.$metadata.httpStatusCode, httpStatusCode);
        assert.ok(error.message.length > 0);
        if (fault === "model-error") assert.equal(error.originalStatusCode, 500);
        return true;
      });
    }
  });
}

const within = [
  ["stream-throttling", "ThrottlingException"],
  ["stream-internal", "InternalServerException"],
  ["stream-model-stream-error", "ModelStreamErrorException"],
  ["stream-validation", "ValidationException"],
  ["stream-service-unavailable", "ServiceUnavailableException"],
];
for (const [fault, name] of within) {
  for (const after of [0, 1]) {
    test(`${name} in the stream after ${after} deltas`, async () => {
      const events = [];
      await assert.rejects(collect(`${modelId}.fault-${fault}-after-${after}`, events), { name });
      assert.equal(events.filter((event) => event.contentBlockDelta).length, after);
    });
  }
}

test("validation as Bedrock words it", async () => {
  const ask = (id) => runtime.send(new ConverseCommand({ modelId: id, messages }));
  await assert.rejects(ask("does-not-exist"), { message: "The provided model identifier is invalid." });
  await assert.rejects(ask("deepseek.r1-v1:0"), /on-demand throughput isn.t supported/);
});

test("a wrong secret", async () => {
  const stranger = new BedrockRuntimeClient(options("another"));
  await assert.rejects(stranger.send(new ConverseCommand({ modelId, messages })), {
    name: "InvalidSignatureException",
  });
});
