// The page: a question, its answer token by token, and errors.

import { Answer } from "./answer";
import { connect, connectModels } from "./connection";
import { conversation, png, text, tool, toolResult, user } from "./conversation";
import { nearest } from "./embedding";
import { failureOf } from "./failure";

// A model that is slow, or fails: `bedrock-grpc emulate --help` lists all faults.
const FAULT = "us.amazon.nova-lite-v1:0.fault-";

const element = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const gateway = new URLSearchParams(location.search).get("gateway") ?? "http://localhost:50051";
const client = connect(gateway);
const models = connectModels(gateway);
let running = new AbortController();

const show = (token: string) => element("answer").append(token);
const question = () => conversation([user(text(element<HTMLInputElement>("question").value))]);

const demos: Record<string, (signal: AbortSignal) => Promise<string>> = {
  /**
   * Streams tokens. Stop aborts: the gateway closes the call to Bedrock, so that the model can
   * stop.
   */
  async stream(signal) {
    const answer = await new Answer().read(client.streamInvoke({ target: "claude", input: question() }, { signal }), show);
    return `${answer.stopReason}, ${answer.usage?.totalTokens} tokens`;
  },

  /** Allows one second for the whole call. Output that arrived until then is kept. */
  async deadline(signal) {
    const call = client.streamInvoke({ target: `${FAULT}stall-after-3`, input: question() }, { signal, timeoutMs: 1000 });
    await new Answer().read(call, show);
    return "";
  },

  /** The model uses a tool, the client runs it, the model continues. */
  async tools(signal) {
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const input = conversation([user(text("What is the weather in Paris?"))], [tool("get_weather", "The weather in a city", schema)]);
    for (;;) {
      const answer = await new Answer().read(client.streamInvoke({ target: "claude", input }, { signal }), show);
      if (answer.stopReason !== "tool_use") return answer.stopReason;
      const results = answer.toolUses().map((use) => {
        show(`\n[${use.name} ${use.input}]\n`);
        return toolResult(use.id, { city: JSON.parse(use.input).city, celsius: 21 });
      });
      input.messages.push(answer.message(), user(...results));
    }
  },

  /** Sends an image with the question. */
  async image(signal) {
    const file = await fetch("../image.png");
    const picture = png(new Uint8Array(await file.arrayBuffer()));
    const input = conversation([user(picture, text("What is this?"))]);
    return (await new Answer().read(client.streamInvoke({ target: "claude", input }, { signal }), show)).stopReason;
  },

  /** Shows which of two texts is nearer to the question. */
  async embed(signal) {
    const asked = element<HTMLInputElement>("question").value;
    show(await nearest(models, "embed", asked, ["how bread is baked", "the colour of the sky"], { signal }));
    return "is nearer to the question";
  },

  /** Shows a rate limit. */
  async errors(signal) {
    await new Answer().read(client.streamInvoke({ target: `${FAULT}throttling-x-amz-retry-after`, input: question() }, { signal }), show);
    return "";
  },
};

for (const [name, demo] of Object.entries(demos)) {
  element(name).addEventListener("click", async () => {
    running.abort();
    running = new AbortController();
    element("answer").textContent = element("note").textContent = "";
    element("note").textContent = await demo(running.signal).catch((error) => {
      const { code, reason, message, retryDelayMs } = failureOf(error);
      return `${code} ${reason}: ${message}${retryDelayMs === undefined ? "" : ` (try again in ${retryDelayMs} ms)`}`;
    });
  });
}
element("stop").addEventListener("click", () => running.abort());
