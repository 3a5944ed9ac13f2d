// Streaming, the stop button, and errors.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, calls, choose, ended, lastCallEnded, MODEL, picture, send } from "./support.js";

const chromium = browser();

/** Records from now on how the answer's text grows. */
async function observe(page) {
  await page.evaluate(() => {
    window.growth = [];
    const note = () => {
      const length = [...document.querySelectorAll(".model .prose")].at(-1)?.textContent.length ?? 0;
      if (length !== (window.growth.at(-1)?.length ?? 0)) {
        window.growth.push({ at: performance.now(), length });
      }
    };
    new MutationObserver(note).observe(document.querySelector("#transcript"), { subtree: true, childList: true, characterData: true });
  });
}

/**

 * How long each task of the page keeps its main thread, in milliseconds of CPU time: other load on

 * the machine does not count.

 */
async function tasks(page, session, during) {
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await session.send("Tracing.start", { transferMode: "ReportEvents", categories: "disabled-by-default-devtools.timeline,devtools.timeline,blink.user_timing" });
  await page.evaluate(() => performance.mark("this page"));
  await during();
  const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.end");
  await complete;
  const mark = events.find(({ name }) => name === "this page");
  return events.filter(({ name, pid, tid }) => name === "RunTask" && pid === mark.pid && tid === mark.tid).map(({ tdur }) => Math.round((tdur ?? 0) / 1000));
}

test("an answer grows on the page as its tokens come, and its figures follow", async () => {
  const page = await chromium.open();
  await picture(page, "welcome");
  await observe(page);
  await send(page, "Write 150 words about the sky.");
  await page.waitForFunction(() => window.growth.length > 10);
  await picture(page, "streaming");
  const exchange = await ended(page);
  const growth = await page.evaluate(() => window.growth);
  const whole = growth.at(-1).length;
  const steps = growth.map(({ length }, i) => length - (growth[i - 1]?.length ?? 0));
  assert.ok(growth.length >= 20, `${growth.length} steps`);
  assert.ok(Math.max(...steps) < whole / 2, `half of it came at once: ${steps}`);
  assert.ok(growth.at(-1).at - growth[0].at > 2000, "all of it came within two seconds, though it took the model more than four");

  const figures = await exchange.locator(".figures").innerText();
  for (const figure of [/first token\s+[\d.]+ m?s/, /speed\s+[\d.]+ tokens\/s/, /input\s+\d+ tokens/, /output\s+\d+ tokens/, /stopped by\s+end_turn/]) {
    assert.match(figures, figure);
  }
  assert.ok(Number(/output\s+(\d+) tokens/.exec(figures)[1]) > 100, figures);
  await exchange.getByText("Target and attempts").click();
  const particulars = await exchange.locator(".particulars").innerText();
  assert.match(particulars, /us\.anthropic\.claude-sonnet-5 in us-east-1: answered after/);
  assert.match(particulars, /system inference profile/);
  await picture(page, "answer");
});

test("the stop button ends Bedrock's call, and what came stays", async () => {
  const page = await chromium.open();
  await send(page, "Write 2000 words about rivers.");
  await page.waitForFunction(() => document.querySelector(".model .prose")?.textContent.length > 60);
  await page.getByRole("button", { name: "Stop" }).click();
  const exchange = await ended(page);
  assert.match(await exchange.locator(".figures").innerText(), /stopped by\s+you/);
  assert.ok((await exchange.locator(".model .prose").textContent()).length > 60);
  assert.equal((await lastCallEnded()).end, "ClientGone");
  await picture(page, "stopped");

  // The conversation continues from there.
  await send(page, "Say hello.");
  await ended(page, 2);
  const { messages } = (await lastCallEnded()).body;
  assert.deepEqual(
    messages.map(({ role }) => role),
    ["user", "assistant", "user"],
  );
});

test("throttling is shown with its reason, and asks for patience before it may be tried again", async () => {
  const page = await chromium.open();
  await choose(page, `${MODEL}.fault-throttling-retry-after`);
  // As at the beginning, however long this test takes.
  await page.evaluate(() => {
    new MutationObserver((_, observer) => {
      const retry = document.querySelector(".retry");
      if (retry) {
        window.first = { disabled: retry.disabled, words: retry.textContent };
        observer.disconnect();
      }
    }).observe(document.querySelector("#transcript"), { subtree: true, childList: true });
  });
  await send(page, "Hello");
  const card = page.locator(".failure");
  await card.waitFor();
  const retry = card.getByRole("button", { name: /Try again/ });
  assert.deepEqual(await page.evaluate(() => window.first), { disabled: true, words: "Try again in 2 s" });
  await picture(page, "throttled");
  const text = await card.innerText();
  assert.match(text, /UPSTREAM_THROTTLED/);
  assert.match(text, /RESOURCE_EXHAUSTED/);
  assert.match(text, /Asked to wait 2 s/);
  assert.match(await page.locator("#alert").textContent(), /UPSTREAM_THROTTLED.*Try again in 2 s/);

  await page.waitForFunction(() => !document.querySelector(".retry").disabled);
  const before = (await calls()).length;
  await page.getByLabel("Model ID or ARN").fill(MODEL);
  await retry.click();
  await page.locator(".figures", { hasText: "end_turn" }).waitFor();
  assert.equal(await card.count(), 0);
  assert.equal(await page.locator(".exchange").count(), 1);
  assert.equal((await calls()).length, before + 1);
});

test("an answer that ends early keeps what arrived, and shows the reason", async () => {
  const page = await chromium.open();
  await choose(page, `${MODEL}.fault-stream-throttling-after-20`);
  await send(page, "Tell me of rivers.");
  const exchange = await ended(page);
  const text = await exchange.locator(".failure").innerText();
  assert.match(text, /UPSTREAM_THROTTLED/);
  assert.match(text, /cut off/);
  assert.match(text, /phase mid-stream/);
  assert.doesNotMatch(text, /Asked to wait/);
  assert.ok((await exchange.locator(".model .prose").textContent()).length > 20);
  await picture(page, "broken-off");
});

test("an invalid request is rejected with the name of the field", async () => {
  const page = await chromium.open();
  await page.getByText("More", { exact: true }).click();
  await page.getByLabel("Guardrail", { exact: true }).fill("abc");
  await send(page, "Hello");
  const exchange = await ended(page);
  const text = await exchange.locator(".failure").innerText();
  assert.match(text, /INVALID_REQUEST/);
  assert.match(text, /guardrail_version/);
  await picture(page, "invalid");
});

test("an unreachable gateway is reported, and retried when it is back", async () => {
  const page = await chromium.open();
  await page.context().setOffline(true);
  await send(page, "Say hello.");
  const exchange = await ended(page);
  assert.match(await exchange.locator(".failure").innerText(), /The gateway can't be reached/);
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator(".figures", { hasText: "end_turn" }).waitFor();
  chromium.forgive(/net::ERR_INTERNET_DISCONNECTED/);
});

test("300 tokens on a machine that is four times slower never block the page", async (t) => {
  const page = await chromium.open();
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await observe(page);
  const took = await tasks(page, session, async () => {
    await page.getByLabel("Max tokens").fill("300");
    await send(page, "Write 1000 words about rivers.");
    const exchange = await ended(page);
    assert.match(await exchange.locator(".figures").innerText(), /output\s+300 tokens/);
  });
  const steps = await page.evaluate(() => window.growth.length);
  assert.ok(steps >= 50, `${steps} steps`);
  assert.ok(took.length > steps, `the trace shows ${took.length} tasks only`);
  const longest = took.toSorted((a, b) => b - a).slice(0, 5);
  t.diagnostic(`the longest tasks: ${longest.join(", ")} ms`);
  // People notice 200 ms; the rest is for slow machines.
  assert.ok(longest[0] < 300, `tasks of ${longest} ms`);
});
