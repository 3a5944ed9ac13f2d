// Builds the page into src/playground/assets, which the binary embeds.
//
//   node build.mjs [FOLDER]   build, into another folder if one is named
//   node build.mjs --serve    build whenever the page is requested, and forward calls to a gateway:
//                             GATEWAY, default http://127.0.0.1:50051

import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { createServer, request as call } from "node:http";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const [option] = process.argv.slice(2);
const assets = option && option !== "--serve" ? resolve(option) : fileURLToPath(new URL("../src/playground/assets", import.meta.url));

async function buildAll() {
  mkdirSync(assets, { recursive: true });
  await build({
    absWorkingDir: here,
    entryPoints: [
      { in: "src/main.ts", out: "playground" },
      { in: "styles.css", out: "playground" },
    ],
    outdir: assets,
    bundle: true,
    format: "esm",
    target: ["es2023", "chrome123", "firefox121", "safari17.5"],
    minify: true,
    charset: "utf8",
    legalComments: "none",
    banner: {
      js: "/*! With @bufbuild/protobuf (Apache-2.0 and BSD-3-Clause, Buf Technologies and Google), @connectrpc/connect and @connectrpc/connect-web (Apache-2.0, the Connect authors). */",
    },
    logLevel: "warning",
  });
  for (const file of ["index.html", "icon.svg"]) {
    copyFileSync(`${here}/${file}`, `${assets}/${file}`);
  }
}

await buildAll();

if (option === "--serve") {
  const gateway = new URL(process.env.GATEWAY ?? "http://127.0.0.1:50051");
  const types = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
  const server = createServer(async (request, response) => {
    const path = request.url === "/" ? "index.html" : /^\/assets\/([\w.]+)$/.exec(request.url ?? "")?.[1];
    if (request.method === "GET" && path) {
      if (path === "index.html") {
        await buildAll();
      }
      response.setHeader("content-type", types[path.split(".").at(-1)] ?? "application/octet-stream");
      response.setHeader("cache-control", "no-store");
      response.end(readFileSync(`${assets}/${path}`));
      return;
    }
    const { method, headers, url } = request;
    const passed = call(new URL(url ?? "/", gateway), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
    });
    passed.on("error", () => response.writeHead(502).end());
    response.on("close", () => passed.destroy());
    request.pipe(passed);
  });
  server.listen(5173, "127.0.0.1", () => console.log(`http://127.0.0.1:5173, calls go to ${gateway.origin}`));
}
