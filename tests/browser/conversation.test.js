// What a conversation can contain: several turns, reasoning, tools, images, documents.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, ended, lastCallEnded, picture, send } from "./support.js";

const chromium = browser();

test("settings and earlier turns reach the model", async () => {
  const page = await chromium.open();
  await page.getByLabel("Target").selectOption("nova");
  await page.getByLabel("System prompt").fill("Be brief.");
  await page.getByLabel("Max tokens").fill("64");
  await page.getByLabel("Temperature").fill("0.7");
  await page.getByLabel("Top P").fill("0.9");
  await page.getByLabel("Stop sequences").fill("END\nSTOP");
  await send(page, "Say hello.");
  await ended(page);
  await send(page, "And again.");
  await ended(page, 2);
  const { modelId, body } = await lastCallEnded();
  assert.equal(modelId, "amazon.nova-lite-v1:0");
  assert.deepEqual(body.system, [{ text: "Be brief." }]);
  assert.deepEqual(body.inferenceConfig, { maxTokens: 64, temperature: 0.7, topP: 0.9, stopSequences: ["END", "STOP"] });
  assert.deepEqual(
    body.messages.map(({ role }) => role),
    ["user", "assistant", "user"],
  );
  assert.deepEqual(body.messages[2].content, [{ text: "And again." }]);

  // Removing a message removes all messages after it.
  await page.locator(".exchange").first().getByRole("button", { name: "Edit" }).click();
  assert.equal(await page.locator(".exchange").count(), 0);
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "Say hello.");
});

test("reasoning stands apart, and goes back with its signature", async () => {
  const page = await chromium.open();
  await page.getByRole("button", { name: /Let it think first/ }).click();
  const exchange = await ended(page);
  assert.match(await exchange.locator(".reasoning").innerText(), /The user asks/);
  assert.doesNotMatch(await exchange.locator(".model .prose").innerText(), /The user asks/);
  await picture(page, "reasoning");
  await send(page, "Are you sure?");
  await ended(page, 2);
  const { body } = await lastCallEnded();
  assert.equal(body.outputConfig.effort, "medium");
  const { reasoningText } = body.messages[1].content[0].reasoningContent;
  assert.match(reasoningText.text, /The user asks/);
  assert.ok(reasoningText.signature.length > 100);
});

test("a tool is called, answered, and the answer used", async () => {
  const page = await chromium.open();
  await page.getByRole("button", { name: "Add a tool" }).click();
  // A complete definition, as documentation shows them, is split into its parts.
  const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  await page.getByLabel("Input schema").fill(JSON.stringify({ toolSpec: { name: "get_forecast", description: "Tomorrow's weather.", inputSchema: { json: schema } } }));
  assert.equal(await page.getByLabel("Name").inputValue(), "get_forecast");
  await page.getByLabel("Tool choice").selectOption("get_forecast");
  await send(page, "What will the weather be in Lisbon?");
  const first = await ended(page);
  assert.match(await first.locator(".tool-use").innerText(), /Calls get_forecast/);
  const result = page.getByLabel("Result of get_forecast");
  // If nothing else is to be done, the focus moves there.
  await page.waitForFunction(() => document.activeElement?.id.startsWith("result-"));

  await page.getByLabel("Tool choice").selectOption("auto");
  await page.getByRole("button", { name: "Send the result" }).click();
  assert.equal(await page.locator(".exchange").count(), 1, "an empty result was sent");
  await result.fill('{"celsius": 21}');
  await picture(page, "tool-result");
  await page.keyboard.press("Control+Enter");
  const second = await ended(page, 2);
  assert.match(await second.locator(".model .prose").innerText(), /21/);
  await picture(page, "tool");

  const { body } = await lastCallEnded();
  const [, call, answer] = body.messages;
  const { toolUse } = call.content.find((block) => block.toolUse);
  assert.equal(typeof toolUse.input.city, "string");
  assert.deepEqual(answer.content, [{ toolResult: { toolUseId: toolUse.toolUseId, content: [{ json: { celsius: 21 } }] } }]);
  assert.equal(await page.locator(".results").count(), 0);
});

test("an image and a document go with a message, and what is cited is shown", async () => {
  const page = await chromium.open();
  const image = await page.locator("h1").screenshot();
  await page.getByLabel("Attach an image or a document").setInputFiles([
    { name: "picture.png", mimeType: "image/png", buffer: image },
    { name: "Segovia: notes.txt", mimeType: "text/plain", buffer: Buffer.from("The aqueduct of Segovia has 167 arches. Its water came from the river Frio.") },
  ]);
  await page.getByLabel("cite").check();
  await page.getByLabel("Message", { exact: true }).fill("How many arches has the aqueduct?");
  await picture(page, "attachments");
  await page.keyboard.press("Enter");
  const exchange = await ended(page);
  assert.ok(await exchange.locator(".you img").evaluate((img) => img.naturalWidth > 0), "the image is not shown");
  assert.match(await exchange.locator(".sources").innerText(), /Segovia notes\s.*characters/);
  assert.match(await exchange.locator(".sources").innerText(), /167 arches/);
  assert.ok((await exchange.locator(".model sup").count()) > 0);
  await picture(page, "citations");

  const [{ content }] = (await lastCallEnded()).body.messages;
  assert.deepEqual(content[0], { image: { format: "png", source: { bytes: image.toString("base64") } } });
  assert.equal(content[1].document.name, "Segovia notes");
  assert.deepEqual(content[1].document.citations, { enabled: true });

  await page.getByLabel("Attach an image or a document").setInputFiles({ name: "song.flac", mimeType: "audio/flac", buffer: Buffer.from("x") });
  assert.match(await page.locator("#composer-problem").innerText(), /song\.flac can't be attached/);

  // The next turn repeats the citations to the model.
  await send(page, "And the water?");
  const second = await ended(page, 2);
  assert.equal(await second.locator(".failure").count(), 0);
});
