// Runs every row of examples/scenarios.json and prints each result as a line of JSON.
// tests/clients/run compares them.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { credentials, Metadata } from "@grpc/grpc-js";
import { Answer } from "./answer.js";
import { connect, models } from "./connection.js";
import { conversation, png, text, tool, toolResult, user } from "./conversation.js";
import { nearest } from "./embedding.js";
import { failureOf } from "./failure.js";
import { InferenceServiceClient, InvokeRequest, type InvokeResponse, StreamInvokeRequest } from "./gen/bedrock/inference/v1/inference_service.js";
import type { TokenUsage } from "./gen/bedrock/inference/v1/metadata.js";

interface Row {
  name: string;
  method?: string;
  target: string;
  text: string;
  nearest_of?: string[];
  times?: number;
  image?: string;
  blank_images?: { count: number; bytes: number };
  max_tokens?: number;
  model_fields?: object;
  deadline_ms?: number;
  cancel_after_deltas?: number;
  tools?: { name: string; description: string; input_schema: object; result: unknown }[];
  connection?: Own;
}

interface Own {
  address?: string;
  service_config?: object;
  keepalive_seconds?: number;
  bare?: boolean;
}

interface Result {
  code: string;
  text: string;
  deltas: number;
  stop_reason: string;
  usage?: (number | undefined)[];
  tool_calls: { name: string; input: string; input_bytes: number }[];
  reason?: string;
  fields?: string[];
  retry_delay_ms?: number;
  upstream?: object;
}

function connectAs(own: Own, address: string): InferenceServiceClient {
  // The library's default, without what docs/clients.md recommends.
  if (own.bare) return new InferenceServiceClient(address, credentials.createInsecure());
  return connect(own.address ? (process.env[own.address] ?? "") : address, {
    serviceConfig: own.service_config && JSON.stringify(own.service_config),
    keepaliveSeconds: own.keepalive_seconds,
  });
}

export async function scenario(address: string, [file, ...names]: string[]): Promise<void> {
  const shared = connect(address);
  const { rows } = JSON.parse(readFileSync(file, "utf8")) as { rows: Row[] };
  for (const row of rows) {
    if (names.length > 0 && !names.includes(row.name)) continue;
    const client = row.connection ? connectAs(row.connection, address) : shared;
    const begun = performance.now();
    const result: Result = { code: "OK", text: "", deltas: 0, stop_reason: "", tool_calls: [] };
    try {
      for (let n = 0; n < (row.times ?? 1); n++) await ask(client, row, dirname(file), result);
    } catch (error) {
      const { code, reason, fields, retryDelayMs, upstream } = failureOf(error);
      Object.assign(result, { code, reason, fields, retry_delay_ms: retryDelayMs, upstream });
    }
    console.log(JSON.stringify({ row: row.name, ...result, took_ms: Math.round(performance.now() - begun) }));
    if (client !== shared) client.close();
  }
  shared.close();
}

async function ask(client: InferenceServiceClient, row: Row, folder: string, result: Result): Promise<void> {
  if (row.method === "InvokeModel") {
    result.text = await nearest(models(client), row.target, row.text, row.nearest_of ?? []);
    return;
  }
  const blocks = row.image ? [png(readFileSync(join(folder, row.image)))] : [];
  for (let n = 0; n < (row.blank_images?.count ?? 0); n++) blocks.push(png(new Uint8Array(row.blank_images!.bytes)));
  const tools = (row.tools ?? []).map((it) => tool(it.name, it.description, it.input_schema));
  const input = conversation([user(...blocks, text(row.text))], tools);
  // Finds the row's calls in the emulator's log.
  input.requestMetadata = { row: row.name };
  if (row.max_tokens !== undefined) input.inferenceConfig = { maxTokens: row.max_tokens, stopSequences: [] };
  if (row.model_fields) {
    input.additionalModelRequestFields = { $case: "additionalModelRequestFieldsJson", value: JSON.stringify(row.model_fields) };
  }
  const { target } = row;
  const options = row.deadline_ms ? { deadline: Date.now() + row.deadline_ms } : {};

  if (row.method === "Invoke") {
    const reply = await new Promise<InvokeResponse>((resolve, reject) => {
      client.invoke(InvokeRequest.create({ target, input }), new Metadata(), options, (error, reply) => (error ? reject(error) : resolve(reply)));
    });
    result.text = reply.message!.content.map(({ content }) => (content?.$case === "text" ? content.value : "")).join("");
    result.stop_reason = reply.stopReasonName;
    result.usage = tokens(reply.metadata?.usage);
    return;
  }

  for (;;) {
    const call = client.streamInvoke(StreamInvokeRequest.create({ target, input }), options);
    const answer = new Answer();
    try {
      await answer.read(call, () => {
        if (answer.deltas === row.cancel_after_deltas) call.cancel();
      });
    } finally {
      Object.assign(result, { text: answer.text, deltas: answer.deltas, stop_reason: answer.stopReason, usage: tokens(answer.usage) });
    }
    const uses = answer.toolUses();
    result.tool_calls.push(...uses.map((use) => ({ name: use.name, input: use.input.slice(0, 20), input_bytes: Buffer.byteLength(use.input) })));
    if (answer.stopReason !== "tool_use") return;
    const results = uses.map((use) => toolResult(use.id, row.tools?.find(({ name }) => name === use.name)?.result));
    input.messages.push(answer.message(), user(...results));
  }
}

function tokens(usage?: TokenUsage) {
  return usage && [usage.inputTokens, usage.outputTokens, usage.totalTokens];
}
