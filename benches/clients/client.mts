// Reads streams at the same time with grpc-js, as an application would.
//
// client.mts ADDRESS STREAMS TOKENS COALESCE_MS prints the deltas and the CPU time of a stream as
// JSON.

import { Answer } from "../../examples/node/src/answer.js";
import { connect } from "../../examples/node/src/connection.js";
import { conversation, text, user } from "../../examples/node/src/conversation.js";
import { StreamInvokeRequest } from "../../examples/node/src/gen/bedrock/inference/v1/inference_service.js";

const [address, ...numbers] = process.argv.slice(2);
const [streams, tokens, coalesceMs] = numbers.map(Number);
const client = connect(address);
const request = StreamInvokeRequest.create({
  target: "claude",
  input: conversation([user(text("Why is the sky blue?"))]),
  coalesce: { seconds: Math.floor(coalesceMs / 1000), nanos: (coalesceMs % 1000) * 1e6 },
});

async function read(): Promise<number> {
  const answer = await new Answer().read(client.streamInvoke(request));
  if (answer.usage?.outputTokens !== tokens) throw new Error(`${answer.usage?.outputTokens} tokens instead of ${tokens}`);
  return answer.deltas;
}

// Connects, and loads what the first call needs.
await read();
const before = process.cpuUsage();
const deltas = await Promise.all(Array.from({ length: streams }, read));
const { user: inUser, system } = process.cpuUsage(before);
const sum = deltas.reduce((sum, count) => sum + count, 0);
console.log(JSON.stringify({ deltas: sum / streams, cpu_ms: (inUser + system) / 1e3 / streams }));
client.close();
