// Accessibility: with a keyboard alone, with a screen reader, on a phone, in dark mode.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { browser, choose, ended, lastCallEnded, MODEL, picture, send } from "./support.js";

const chromium = browser();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The accessibility violations that axe finds in the current page. */
async function violations(page) {
  // Through the debugger, because the page's policy allows no other script.
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
}

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`axe finds nothing in any state, ${colorScheme}, ${width} px wide`, async () => {
      const page = await chromium.open({ width, colorScheme });
      assert.deepEqual(await violations(page), [], "welcome");
      await page.getByRole("button", { name: /Let it call a tool/ }).click();
      await page.locator(".results").waitFor();
      assert.deepEqual(await violations(page), [], "a tool's call");
      await page.getByLabel("Result of get_weather").fill("sunny");
      await page.keyboard.press("Control+Enter");
      await ended(page, 2);
      if (width < 600) {
        await page.locator("#settings > summary").click();
      }
      await page.getByText("More", { exact: true }).click();
      await choose(page, `${MODEL}.fault-stream-model-stream-error-after-5`);
      await page.getByLabel("Effort").selectOption("high");
      await send(page, "Why?");
      const exchange = await ended(page, 3);
      await exchange.getByText("Target and attempts").click();
      assert.deepEqual(await violations(page), [], "an error, and all settings");
      await exchange.getByRole("button", { name: "Code" }).click();
      assert.deepEqual(await violations(page), [], "code");
      await picture(page, `code-${colorScheme}-${width}`);
    });
  }
}

test("a keyboard is enough", async () => {
  const page = await chromium.open();
  const focused = () =>
    page.evaluate(() => {
      const { activeElement: element } = document;
      const name = element.getAttribute("aria-label") ?? (element.labels?.[0] ?? element).innerText;
      const outlined = getComputedStyle(element).outlineStyle !== "none";
      return { id: element.id, name: name.trim(), outlined };
    });
  const press = (key) => page.keyboard.press(key);

  // The focus starts in the input.
  assert.equal((await focused()).id, "message");
  await page.keyboard.type("Say hello.");
  await press("Enter");
  await ended(page);

  // From the top, in reading order.
  await page.locator(".skip").focus();
  assert.ok((await page.locator(".skip").boundingBox()).y >= 0, "the way past the settings is out of sight");
  const seen = [];
  for (let i = 0; i < 40; i++) {
    await press("Tab");
    const { id, name, outlined } = await focused();
    assert.ok(name !== "", `the stop with the ID "${id}" has no name`);
    assert.ok(outlined, `"${name}" does not show that it has the focus`);
    seen.push(id || name);
    if (id === "send") {
      break;
    }
  }
  const order = ["new", "show-code", "target", "system", "max-tokens", "effort", "temperature", "top-p", "stop-sequences", "add-tool", "Edit", "Target and attempts", "Code", "message", "attach", "send"];
  assert.deepEqual(
    seen.filter((stop) => order.includes(stop)),
    order,
  );

  // Escape stops the stream, wherever the focus is.
  await page.getByLabel("Message", { exact: true }).focus();
  await page.keyboard.type("Write 2000 words about rivers.");
  await press("Enter");
  await page.waitForFunction(() => [...document.querySelectorAll(".model .prose")].at(-1)?.textContent.length > 40 && document.querySelectorAll(".exchange").length === 2);
  await press("Escape");
  await ended(page, 2);
  assert.equal((await lastCallEnded()).end, "ClientGone");
  assert.equal((await focused()).id, "message");
  assert.equal(await page.locator("#status").textContent(), "Stopped");

  // Opens the code, and returns the focus to where it was.
  await page.locator("#show-code").focus();
  await press("Enter");
  assert.equal((await focused()).name, "grpcurl");
  await press("ArrowRight");
  assert.equal((await focused()).name, "Python");
  assert.match(await page.locator("#code-text").innerText(), /import grpc/);
  await press("Escape");
  assert.equal(await page.locator("dialog").isVisible(), false);
  assert.equal((await focused()).id, "show-code");
});

test("what is said to screen readers is little: sent, and complete", async () => {
  const page = await chromium.open();
  await page.evaluate(() => {
    window.said = [];
    for (const id of ["status", "alert"]) {
      new MutationObserver(() => window.said.push(document.getElementById(id).textContent)).observe(document.getElementById(id), { childList: true });
    }
  });
  await send(page, "Why is the sky blue?");
  await ended(page);
  assert.deepEqual(await page.evaluate(() => window.said), ["Sent", "The answer is complete."]);
  const live = await page.locator("[aria-live], [role=status], [role=alert], [role=log]").evaluateAll((elements) => elements.map(({ id }) => id));
  assert.deepEqual(live.sort(), ["alert", "composer-problem", "copied", "status"]);
});

for (const width of [320, 390]) {
  test(`nothing is wider than a phone of ${width} px`, async () => {
    const page = await chromium.open({ width, height: 720, colorScheme: "dark" });
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(await wide(), 0, "welcome");
    await picture(page, `phone-${width}`);
    await page.getByRole("button", { name: /Let it call a tool/ }).click();
    await page.locator(".results").waitFor();
    assert.equal(await wide(), 0, "a tool's call");
    await page.locator("#settings > summary").click();
    assert.equal(await wide(), 0, "settings");
    await picture(page, `phone-settings-${width}`);
    await choose(page, `${MODEL}.fault-throttling`);
    await page.getByLabel("Result of get_weather").fill("x".repeat(300));
    await page.keyboard.press("Control+Enter");
    const exchange = await ended(page, 2);
    await exchange.getByText("Target and attempts").click();
    assert.equal(await wide(), 0, "an error");
    await exchange.getByRole("button", { name: "Code" }).click();
    assert.equal(await wide(), 0, "code");
    await picture(page, `phone-code-${width}`);
  });
}

test("who reads in the dark gets a dark page", async () => {
  const paper = (page) => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number));
  const light = await paper(await chromium.open({ colorScheme: "light" }));
  const page = await chromium.open({ colorScheme: "dark" });
  const dark = await paper(page);
  assert.ok(Math.min(...light) > 230, `light is ${light}`);
  assert.ok(Math.max(...dark) < 40, `dark is ${dark}`);
  await send(page, "Why is the sky blue?");
  await ended(page);
  await picture(page, "dark");
});
