// Which pages may call: those of the origins that the operator allows, and no others. Tested with a
// real browser, because browsers enforce CORS.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { CHROMIUM, calls, emulator, gateway as dev, TIMEOUT } from "./support.js";

const playground = fileURLToPath(new URL("../../playground/", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "cors-"));
const ends = [() => rmSync(work, { recursive: true, force: true })];
let browser;
let allowed;
let other;

/** A page with a separate origin, which calls with connect-web. */
async function site() {
  const { build } = createRequire(playground)("esbuild");
  const script = `
    import { Code, ConnectError, createClient } from "@connectrpc/connect";
    import { createGrpcWebTransport } from "@connectrpc/connect-web";
    import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb";
    import { InferenceService } from "./gen/bedrock/inference/v1/inference_service_pb";

    window.ask = async (baseUrl, target) => {
      const client = createClient(InferenceService, createGrpcWebTransport({ baseUrl }));
      let text = "";
      try {
        const messages = [{ role: 1, content: [{ content: { case: "text", value: "Count to 3" } }] }];
        for await (const { event } of client.streamInvoke({ target, input: { messages } })) {
          if (event.case === "contentBlockDelta") text += event.value.delta.value;
        }
        return text;
      } catch (thrown) {
        const error = ConnectError.from(thrown);
        const [info] = error.findDetails(ErrorInfoSchema);
        return Code[error.code] + " " + (info?.reason ?? error.rawMessage);
      }
    };`;
  const { outputFiles } = await build({ stdin: { contents: script, resolveDir: playground, loader: "ts" }, bundle: true, format: "esm", write: false });
  const server = createServer(({ url }, response) => {
    response.setHeader("content-type", url === "/" ? "text/html" : "text/javascript");
    response.end(url === "/" ? "<!doctype html><script type=module src=/page.js></script>" : outputFiles[0].text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

/** `serve`, as an operator runs it, on the running emulator. */
async function serve(more) {
  const config = join(work, `${ends.length}.yaml`);
  writeFileSync(config, `listen: 127.0.0.1:0\nadmin: { listen: "127.0.0.1:0" }\nallowed_model_ids: ["us.amazon.*"]\nbedrock: { region: us-east-1, endpoint_url: "${emulator}" }\ndiscovery: { enabled: false }\n${more}\n`);
  const env = { PATH: process.env.PATH, AWS_ACCESS_KEY_ID: "EMULATOR", AWS_SECRET_ACCESS_KEY: "emulator-secret-access-key" };
  const child = spawn(process.env.BEDROCK_GRPC, ["serve", "--config", config], { env, stdio: ["ignore", "ignore", "pipe"] });
  ends.push(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stderr });
  for await (const line of lines) {
    if (line.includes('"serving"')) {
      return JSON.parse(line).address;
    }
  }
  throw new Error("the gateway did not come up");
}

/** What a page of this origin can read of a response. */
async function ask(origin, address, target = "us.amazon.nova-lite-v1:0") {
  const page = await browser.newPage();
  page.setDefaultTimeout(TIMEOUT);
  try {
    await page.goto(origin);
    await page.waitForFunction(() => "ask" in window);
    return await page.evaluate(([url, target]) => window.ask(url, target), [address, target]);
  } finally {
    await page.close();
  }
}

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
  ends.push(() => browser.close());
  [allowed, other] = [await site(), await site()];
});
after(async () => {
  for (const end of ends.reverse()) {
    await end();
  }
});

test("a page of an allowed origin may call, and sees what is wrong; one of another may not", async () => {
  const address = await serve(`cors: { allowed_origins: ["${allowed}"] }`);
  const before = (await calls()).length;
  assert.equal(await ask(allowed, `http://${address}`), "1, 2, 3.");
  assert.equal(await ask(allowed, `http://${address}`, "nothing"), "NotFound TARGET_UNKNOWN");
  assert.equal(await ask(other, `http://${address}`), "Unknown Failed to fetch");
  assert.equal((await calls()).length, before + 1, "only the first may have reached Bedrock");
});

test("without a word in the config, no page may call", async () => {
  const address = await serve("");
  const before = (await calls()).length;
  assert.equal(await ask(allowed, `http://${address}`), "Unknown Failed to fetch");
  assert.equal((await calls()).length, before);
});

test("`dev` lets every page call", async () => {
  assert.equal(await ask(other, dev), "1, 2, 3.");
});

test("gRPC is spoken on the same port", async () => {
  const address = await serve(`cors: { allowed_origins: ["${allowed}"] }`);
  const request = { target: "us.amazon.nova-lite-v1:0", input: { messages: [{ role: "ROLE_USER", content: [{ text: "Count to 3" }] }] } };
  const method = "bedrock.inference.v1.InferenceService/Invoke";
  const { stdout } = await promisify(execFile)("grpcurl", ["-plaintext", "-d", JSON.stringify(request), address, method]);
  assert.equal(JSON.parse(stdout).message.content[0].text, "1, 2, 3.");
  assert.equal(await ask(allowed, `http://${address}`), "1, 2, 3.");
});
