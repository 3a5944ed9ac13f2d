// Runs a row of examples/scenarios.json in the page and returns the result. tests/clients/run
// compares it.

import { create } from "@bufbuild/protobuf";
import { Answer } from "./answer";
import { connect, connectModels, type InferenceClient } from "./connection";
import { conversation, png, text, tool, toolResult, user } from "./conversation";
import { nearest } from "./embedding";
import { failureOf } from "./failure";
import { InferenceConfigurationSchema } from "./gen/bedrock/inference/v1/converse_pb";
import type { TokenUsage } from "./gen/bedrock/inference/v1/metadata_pb";
import type { ServiceConfig } from "./service_config";

interface Row {
  name: string;
  method?: string;
  target: string;
  text: string;
  nearest_of?: string[];
  image?: string;
  blank_images?: { count: number; bytes: number };
  max_tokens?: number;
  model_fields?: object;
  deadline_ms?: number;
  cancel_after_deltas?: number;
  tools?: { name: string; description: string; input_schema: object; result: unknown }[];
  connection?: { service_config?: ServiceConfig };
}

interface Result {
  code: string;
  text: string;
  deltas: number;
  stop_reason: string;
  usage?: (number | undefined)[];
  tool_calls: { name: string; input: string; input_bytes: number }[];
}

export async function outcome(gateway: string, row: Row): Promise<object> {
  const begun = performance.now();
  const result: Result = { code: "OK", text: "", deltas: 0, stop_reason: "", tool_calls: [] };
  try {
    if (row.method === "InvokeModel") {
      result.text = await nearest(connectModels(gateway), row.target, row.text, row.nearest_of ?? []);
    } else {
      await ask(connect(gateway, row.connection?.service_config), row, result);
    }
  } catch (error) {
    const { code, reason, fields, retryDelayMs, upstream } = failureOf(error);
    Object.assign(result, { code, reason, fields, retry_delay_ms: retryDelayMs, upstream });
  }
  return { row: row.name, ...result, took_ms: Math.round(performance.now() - begun) };
}

async function ask(client: InferenceClient, row: Row, result: Result): Promise<void> {
  const blocks = row.image ? [png(new Uint8Array(await (await fetch(`../${row.image}`)).arrayBuffer()))] : [];
  for (let n = 0; n < (row.blank_images?.count ?? 0); n++) blocks.push(png(new Uint8Array(row.blank_images!.bytes)));
  const tools = (row.tools ?? []).map((it) => tool(it.name, it.description, it.input_schema));
  const input = conversation([user(...blocks, text(row.text))], tools);
  // Finds the row's calls in the emulator's log.
  input.requestMetadata = { row: row.name };
  if (row.max_tokens !== undefined) input.inferenceConfig = create(InferenceConfigurationSchema, { maxTokens: row.max_tokens });
  if (row.model_fields) {
    input.additionalModelRequestFields = { case: "additionalModelRequestFieldsJson", value: JSON.stringify(row.model_fields) };
  }
  const { target } = row;
  const enough = new AbortController();
  const options = { signal: enough.signal, ...(row.deadline_ms ? { timeoutMs: row.deadline_ms } : {}) };

  if (row.method === "Invoke") {
    const reply = await client.invoke({ target, input }, options);
    result.text = reply.message!.content.map(({ content }) => (content.case === "text" ? content.value : "")).join("");
    result.stop_reason = reply.stopReasonName;
    result.usage = tokens(reply.metadata?.usage);
    return;
  }

  for (;;) {
    const answer = new Answer();
    try {
      await answer.read(client.streamInvoke({ target, input }, options), () => {
        if (answer.deltas === row.cancel_after_deltas) enough.abort();
      });
    } finally {
      Object.assign(result, { text: answer.text, deltas: answer.deltas, stop_reason: answer.stopReason, usage: tokens(answer.usage) });
    }
    const uses = answer.toolUses();
    result.tool_calls.push(...uses.map((use) => ({ name: use.name, input: use.input.slice(0, 20), input_bytes: new Blob([use.input]).size })));
    if (answer.stopReason !== "tool_use") return;
    const results = uses.map((use) => toolResult(use.id, row.tools?.find(({ name }) => name === use.name)?.result));
    input.messages.push(answer.message(), user(...results));
  }
}

function tokens(usage?: TokenUsage) {
  return usage && [usage.inputTokens, usage.outputTokens, usage.totalTokens];
}
