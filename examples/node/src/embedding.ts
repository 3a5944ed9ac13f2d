// Embeddings of texts: a call in the model's own format, here that of Titan Text Embeddings V2.

import { InvokeModelRequest, type InvokeModelResponse, type ModelServiceClient } from "./gen/bedrock/inference/v1/model_service.js";

export async function embedding(client: ModelServiceClient, target: string, text: string): Promise<number[]> {
  const body = Buffer.from(JSON.stringify({ inputText: text, dimensions: 256, normalize: true }));
  const reply = await new Promise<InvokeModelResponse>((resolve, reject) => {
    client.invokeModel(InvokeModelRequest.create({ target, body }), (error, reply) => (error ? reject(error) : resolve(reply)));
  });
  return JSON.parse(reply.body.toString()).embedding;
}

/** The one of the others whose meaning is nearest to the text's. Makes one call for each text. */
export async function nearest(client: ModelServiceClient, target: string, text: string, others: string[]): Promise<string> {
  const wanted = await embedding(client, target, text);
  let [best, found] = [-Infinity, ""];
  for (const other of others) {
    const similarity = cosine(wanted, await embedding(client, target, other));
    if (similarity > best) [best, found] = [similarity, other];
  }
  return found;
}

/** The cosine similarity. Normalized vectors have length 1, so it is their dot product. */
function cosine(a: number[], b: number[]): number {
  return a.reduce((sum, value, n) => sum + value * b[n], 0);
}
