// Opens the page in a real browser, tries its buttons, and runs the rows of examples/scenarios.json
// in it. Prints one line of JSON per row.

import { readFileSync } from "node:fs";
import { context } from "esbuild";
import { chromium } from "playwright-core";

const [file, ...names] = process.argv.slice(2);
const gateway = `http://${process.env.GATEWAY_GRPC ?? "localhost:50051"}`;
const { rows } = JSON.parse(readFileSync(file, "utf8"));

const files = await context({ entryPoints: ["src/page.ts", "src/scenario.ts"], bundle: true, format: "esm", outdir: "dist" });
const { port } = await files.serve({ host: "127.0.0.1", port: 0, servedir: ".." });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // Containers run as root, where Chromium has no sandbox.
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/browser/?gateway=${encodeURIComponent(gateway)}`);
  if (names.length === 0 || names.includes("stream")) await tryButtons(page);
  for (const row of rows) {
    if (names.length > 0 && !names.includes(row.name)) continue;
    const result = await page.evaluate(
      async ([gateway, row]) => (await import("./dist/scenario.js")).outcome(gateway, row),
      [gateway, row],
    );
    console.log(JSON.stringify(result));
  }
} finally {
  await browser.close();
  await files.dispose();
}

/** The actions of a visitor. Each wait fails after 30 s. */
async function tryButtons(page) {
  await page.click("#stream");
  await page.waitForFunction(() => document.getElementById("answer").childNodes.length >= 3);
  await page.click("#stop");
  await page.waitForFunction(() => document.getElementById("note").textContent.startsWith("CANCELLED"));
  await page.click("#embed");
  await page.waitForFunction(() => document.getElementById("answer").textContent === "the colour of the sky");
  await page.click("#errors");
  await page.waitForFunction(() => document.getElementById("note").textContent.includes("try again in 1500 ms"));
}
