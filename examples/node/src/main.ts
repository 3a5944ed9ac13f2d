// A client of bedrock-grpc: npm start -- stream|cancel|deadline|tools|image|embed|errors|scenario

import { readFileSync } from "node:fs";
import { Answer } from "./answer.js";
import { connect, models } from "./connection.js";
import { conversation, png, text, tool, toolResult, user } from "./conversation.js";
import { nearest } from "./embedding.js";
import { failureOf } from "./failure.js";
import { type InferenceServiceClient, StreamInvokeRequest } from "./gen/bedrock/inference/v1/inference_service.js";
import { scenario } from "./scenario.js";

// A model that is slow, or fails: `bedrock-grpc emulate --help` lists all faults.
const FAULT = "us.amazon.nova-lite-v1:0.fault-";

const show = (token: string) => process.stdout.write(token);

function ask(target: string, question: string): StreamInvokeRequest {
  return StreamInvokeRequest.create({ target, input: conversation([user(text(question))]) });
}

const demos: Record<string, (client: InferenceServiceClient) => Promise<void>> = {
  /** Prints tokens as they arrive. */
  async stream(client) {
    const answer = await new Answer().read(client.streamInvoke(ask("claude", "Why is the sky blue?")), show);
    console.log(`\n${answer.stopReason}, ${answer.usage?.totalTokens} tokens`);
  },

  /**

   * Stops after three tokens. The gateway closes the call to Bedrock, so that the model can stop.

   */
  async cancel(client) {
    const call = client.streamInvoke(ask("claude", "Count to 100"));
    const answer = new Answer();
    try {
      await answer.read(call, (token) => {
        show(token);
        if (answer.deltas === 3) call.cancel();
      });
    } catch (error) {
      console.log(`\n${failureOf(error).code}`);
    }
  },

  /** Allows one second for the whole call. Output that arrived until then is kept. */
  async deadline(client) {
    const answer = new Answer();
    try {
      await answer.read(client.streamInvoke(ask(`${FAULT}stall-after-3`, "Count to 100"), { deadline: Date.now() + 1000 }), show);
    } catch (error) {
      console.log(`\n${failureOf(error).code} after ${JSON.stringify(answer.text)}`);
    }
  },

  /** The model uses a tool, the client runs it, the model continues. */
  async tools(client) {
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const weather = tool("get_weather", "The weather in a city", schema);
    const input = conversation([user(text("What is the weather in Paris?"))], [weather]);
    for (;;) {
      const answer = await new Answer().read(client.streamInvoke(StreamInvokeRequest.create({ target: "claude", input })), show);
      console.log();
      if (answer.stopReason !== "tool_use") break;
      const results = answer.toolUses().map((use) => {
        console.log(`[${use.name} ${use.input}]`);
        return toolResult(use.id, { city: JSON.parse(use.input).city, celsius: 21 });
      });
      input.messages.push(answer.message(), user(...results));
    }
  },

  /** Sends an image with the question. */
  async image(client) {
    const picture = readFileSync(new URL("../../image.png", import.meta.url));
    const input = conversation([user(png(picture), text("What is this?"))]);
    await new Answer().read(client.streamInvoke(StreamInvokeRequest.create({ target: "claude", input })), show);
    console.log();
  },

  /** Prints which of two texts is nearer to a third one. */
  async embed(client) {
    const others = ["quarterly tax report", "a lighthouse by the sea"];
    console.log(await nearest(models(client), "embed", "ships look for the lighthouse", others));
  },

  /** Shows a rate limit, an error in mid-stream, and an invalid request. */
  async errors(client) {
    for (const target of [`${FAULT}throttling-x-amz-retry-after`, `${FAULT}stream-model-stream-error-after-3`, "claud"]) {
      try {
        await new Answer().read(client.streamInvoke(ask(target, "Count to 10")));
      } catch (error) {
        console.log(failureOf(error));
      }
    }
  },
};

const [name = "stream", ...rest] = process.argv.slice(2);
const address = process.env.GATEWAY_GRPC ?? "localhost:50051";
if (name === "scenario") {
  await scenario(address, rest);
} else {
  const client = connect(address);
  await demos[name](client);
  client.close();
}
