// Embeddings of texts: a call in the model's own format, here that of Titan Text Embeddings V2.

import type { CallOptions } from "@connectrpc/connect";
import type { ModelClient } from "./connection";

export async function embedding(client: ModelClient, target: string, text: string, options?: CallOptions): Promise<number[]> {
  const body = new TextEncoder().encode(JSON.stringify({ inputText: text, dimensions: 256, normalize: true }));
  const reply = await client.invokeModel({ target, body }, options);
  return JSON.parse(new TextDecoder().decode(reply.body)).embedding;
}

/** The one of the others whose meaning is nearest to the text's. Makes one call for each text. */
export async function nearest(client: ModelClient, target: string, text: string, others: string[], options?: CallOptions): Promise<string> {
  const wanted = await embedding(client, target, text, options);
  let [best, found] = [-Infinity, ""];
  for (const other of others) {
    const similarity = cosine(wanted, await embedding(client, target, other, options));
    if (similarity > best) [best, found] = [similarity, other];
  }
  return found;
}

/** The cosine similarity. Normalized vectors have length 1, so it is their dot product. */
function cosine(a: number[], b: number[]): number {
  return a.reduce((sum, value, n) => sum + value * b[n], 0);
}
