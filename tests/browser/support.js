// A real Chromium on the playground of the gateway that tests/with_dev started.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const gateway = `http://${process.env.GATEWAY_GRPC}`;
export const emulator = process.env.GATEWAY_EMULATOR;
export const MODEL = "us.anthropic.claude-sonnet-5";

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** The folder for screenshots. */
const pictures = fileURLToPath(new URL("../../target/browser", import.meta.url));

/** Long enough for a busy machine. */
export const TIMEOUT = 30_000;

/**

 * A browser for the tests of a file. Its pages must have no errors, and must call only the

 * gateway.

 */
export function browser() {
  const profile = mkdtempSync(join(tmpdir(), "playground-"));
  const opened = [];
  let context;
  let faults = [];

  before(async () => {
    mkdirSync(pictures, { recursive: true });
    context = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      viewport: { width: 1280, height: 800 },
      permissions: ["clipboard-read", "clipboard-write"],
      reducedMotion: "reduce",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  });

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((page) => page.close()));
    const found = faults;
    faults = [];
    assert.deepEqual(found, [], "what the browser complained of");
  });

  after(async () => {
    await context?.close();
    rmSync(profile, { recursive: true, force: true });
  });

  return {
    /** Ignores the browser's errors so far that match. */
    forgive(pattern) {
      faults = faults.filter((fault) => !pattern.test(fault));
    },

    /** Opens the page. */
    async open({ width = 1280, height = 800, colorScheme = "light" } = {}) {
      const page = await context.newPage();
      opened.push(page);
      page.setDefaultTimeout(TIMEOUT);
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("request", (request) => {
        const { protocol, origin } = new URL(request.url());
        if (protocol !== "blob:" && origin !== gateway) {
          faults.push(`called ${request.url()}`);
        }
      });
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.goto(gateway);
      await page.waitForFunction(() => document.querySelector("#target").options.length > 1);
      return page;
    },
  };
}

/** Saves a screenshot. */
export async function picture(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

export async function send(page, words) {
  await page.getByLabel("Message", { exact: true }).fill(words);
  await page.keyboard.press("Enter");
}

/** Selects a model ID that is not a target. */
export async function choose(page, modelId) {
  await page.getByLabel("Target").selectOption({ label: "A model ID or ARN …" });
  await page.getByLabel("Model ID or ARN").fill(modelId);
}

/** The nth exchange, once it has ended. */
export async function ended(page, n = 1) {
  const exchange = page.locator(".exchange").nth(n - 1);
  await exchange.locator(".figures").waitFor();
  return exchange;
}

/** The calls that Bedrock received, the newest last. */
export async function calls() {
  const response = await fetch(`${emulator}/_emulator/calls`);
  const { calls } = await response.json();
  return calls
    // The gateway also looks up inference profiles.
    .filter(({ operation }) => operation === "ConverseStream")
    .map((call) => ({ ...call, body: JSON.parse(Buffer.from(call.body, "base64").toString()) }));
}

/** The last call that Bedrock received, once it has ended. */
export async function lastCallEnded() {
  const deadline = Date.now() + TIMEOUT;
  for (;;) {
    const call = (await calls()).at(-1);
    if (call?.end) {
      return call;
    }
    assert.ok(Date.now() < deadline, "Bedrock's call did not end");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
