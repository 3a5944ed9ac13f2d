// The code to copy: it runs unchanged, and sends exactly the same request to Bedrock.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { browser, ended, lastCallEnded, send } from "./support.js";

const chromium = browser();
const root = fileURLToPath(new URL("../../", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "code-"));
after(() => rmSync(work, { recursive: true, force: true }));

const NOTES = "The aqueduct of Segovia has 167 arches.\n";

/**

 * Sends a request that uses every feature of the code, and returns the call that the page made.

 */
async function askForEverything(page) {
  const image = await page.locator("h1").screenshot();
  writeFileSync(join(work, "picture.png"), image);
  writeFileSync(join(work, "notes.txt"), NOTES);
  await page.getByLabel("System prompt").fill('Say "please".\nBe `brief`, ${really}: it\'s \\ fine.');
  // The newest Claude models accept no other temperature.
  await page.getByLabel("Temperature").fill("1");
  await page.getByLabel("Stop sequences").fill("END");
  await page.getByLabel("Effort").selectOption("low");
  await page.getByRole("button", { name: "Add a tool" }).click();
  await send(page, "What is the weather in São Paulo? 🌦");
  await ended(page);
  await page.getByLabel("Result of get_weather").fill('{"celsius": 21.0}');
  await page.getByLabel("Attach an image or a document").setInputFiles([
    { name: "picture.png", mimeType: "image/png", buffer: image },
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from(NOTES) },
  ]);
  await page.getByLabel("cite").check();
  await send(page, "And how many arches are there?");
  const exchange = await ended(page, 2);
  assert.equal(await exchange.locator(".failure").count(), 0, await exchange.innerText());
  const call = await lastCallEnded();
  await exchange.getByRole("button", { name: "Code" }).click();
  return call;
}

async function code(page, language) {
  await page.getByRole("tab", { name: language }).click();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied").waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await page.locator("#code-text").textContent());
  return copied;
}

/** Runs a command, and returns its output. */
async function run(command, args, options) {
  const child = spawn(command, args, { cwd: work, stdio: ["ignore", "pipe", "pipe"], ...options });
  let printed = "";
  let complaints = "";
  child.stdout.on("data", (data) => (printed += data));
  child.stderr.on("data", (data) => (complaints += data));
  const [status] = await once(child, "close");
  assert.equal(status, 0, complaints);
  return printed;
}

/** Compiles a program to JavaScript, with the playground's packages and types. */
async function bundle(program, outfile) {
  const playground = join(root, "playground");
  for (const folder of ["gen", "node_modules"]) {
    symlinkSync(join(playground, folder), join(work, folder));
  }
  const { build } = createRequire(join(playground, "package.json"))("esbuild");
  await build({ entryPoints: [program], outfile, bundle: true, platform: "node", format: "esm" });
}

/** Bedrock received one more call, with the same request. */
async function askedTheSame(call) {
  const other = await lastCallEnded();
  assert.notEqual(other.id, call.id, "Bedrock was not asked");
  assert.equal(other.modelId, call.modelId);
  assert.deepEqual(other.body, call.body);
}

test("Python, TypeScript and grpcurl ask what the page asked", async (t) => {
  const page = await chromium.open();
  const call = await askForEverything(page);

  writeFileSync(join(work, "ask.py"), await code(page, "Python"));
  const interop = join(root, "tests/interop");
  const env = { ...process.env, PYTHONPATH: join(interop, ".stubs"), PYTHONDONTWRITEBYTECODE: "1" };
  assert.match(await run(join(interop, ".venv/bin/python"), ["ask.py"], { env }), /output_tokens: \d+/);
  await askedTheSame(call);

  writeFileSync(join(work, "ask.ts"), await code(page, "TypeScript"));
  await bundle(join(work, "ask.ts"), join(work, "ask.mjs"));
  assert.match(await run(process.execPath, ["ask.mjs"]), /outputTokens: \d+/);
  await askedTheSame(call);

  const line = await code(page, "grpcurl");
  assert.match(line, /^grpcurl -plaintext -d '/);
  if (spawnSync("grpcurl", ["-version"]).error && process.env.CI !== "true") {
    t.diagnostic("skipped: the grpcurl line (grpcurl is not on this machine)");
    return;
  }
  assert.match(await run("sh", ["-c", line]), /"metadata"/);
  await askedTheSame(call);
});
