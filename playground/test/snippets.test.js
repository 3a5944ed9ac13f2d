// Code to copy: whatever a request contains, the code builds the same request again.
// `tests/browser` also runs it against the gateway.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { create, fromJsonString, toJson } from "@bufbuild/protobuf";
import { ContentBlockSchema, MessageSchema, Role } from "../gen/bedrock/inference/v1/content_pb";
import { Effort } from "../gen/bedrock/inference/v1/converse_pb";
import { StreamInvokeRequestSchema } from "../gen/bedrock/inference/v1/inference_service_pb";
import { ImageFormat } from "../gen/bedrock/inference/v1/media_pb";
import { attach, blockOf } from "../src/attachment";
import { requestOf } from "../src/request";
import { grpcurl } from "../src/snippets/grpcurl";
import { python } from "../src/snippets/python";
import { typescript } from "../src/snippets/typescript";
import { EMPTY } from "./settings";

const gateway = new URL("http://127.0.0.1:50051");
const AWKWARD = [
  "plain",
  'Say "please".\nBe `brief`, ${really}: it\'s \\ fine.',
  '"quoted"',
  "it's 'quoted'",
  'ends with "',
  '"""',
  "two\nlines",
  "\nbegins and ends with a break\n",
  "a back\\slash\nand a break \\n",
  "carriage\r\nreturn",
  "tab\tand bell\u0007 and null\u0000",
  "São Paulo 🌦 \u2028 \u00a0",
  "$(rm) `rm` $HOME",
];

function asking(...texts) {
  const content = texts.map((value) => create(ContentBlockSchema, { content: { case: "text", value } }));
  const message = create(MessageSchema, { role: Role.USER, content });
  return requestOf({ ...EMPTY, temperature: 0.7, effort: Effort.LOW }, [message]);
}

const json = (request) => toJson(StreamInvokeRequestSchema, request);

test("TypeScript that makes the same request", () => {
  const request = asking(...AWKWARD);
  const code = typescript(request, gateway);
  const [, object] = /client\.streamInvoke\(([^]*?)\);\n\nlet answer/.exec(code);
  const again = new Function("Role", "Effort", `return ${object}`)(Role, Effort);
  assert.deepEqual(json(create(StreamInvokeRequestSchema, again)), json(request));
  assert.match(code, /import \{ Role \} from "\.\/gen\/bedrock\/inference\/v1\/content_pb";/);
});

test("a line for a shell that makes the same request", () => {
  const request = asking(...AWKWARD);
  const { line, isFile } = grpcurl(request, gateway);
  assert.equal(isFile, false);
  const { stdout, status } = spawnSync("sh", ["-c", `grpcurl() { printf '%s\\n' "$@"; }; ${line}`], { encoding: "utf8" });
  assert.equal(status, 0);
  const words = stdout.split("\n");
  assert.deepEqual([words[0], words[1], ...words.slice(3)], ["-plaintext", "-d", "127.0.0.1:50051", "bedrock.inference.v1.InferenceService/StreamInvoke", ""]);
  assert.deepEqual(json(fromJsonString(StreamInvokeRequestSchema, words[2])), json(request));
});

test("a request that no line can hold is a file", () => {
  const { line, isFile } = grpcurl(asking("x".repeat(200_000)), gateway);
  assert.equal(isFile, true);
  assert.match(line, /-d @ .* <request\.json$/);
});

test("Python that has the same texts", () => {
  // Returns all values of the argument `text`, as Python reads them.
  const reader = "import ast, json, sys; print(json.dumps([ast.literal_eval(it.value) for it in ast.walk(ast.parse(sys.stdin.buffer.read())) if isinstance(it, ast.keyword) and it.arg == 'text']))";
  const { stdout } = spawnSync("python3", ["-c", reader], { input: python(asking(...AWKWARD), gateway), encoding: "utf8" });
  assert.deepEqual(JSON.parse(stdout), AWKWARD);
});

test("files are read where the code runs; other bytes are in it", async () => {
  const block = blockOf(await attach(new File([Uint8Array.of(1, 2, 3)], 'my "best".png')));
  const named = requestOf(EMPTY, [create(MessageSchema, { role: Role.USER, content: [block] })]);
  assert.match(python(named, gateway), /open\('my "best"\.png', "rb"\)\.read\(\)/);
  assert.match(typescript(named, gateway), /await readFile\("my \\"best\\"\.png"\)/);
  const source = { source: { case: "bytes", value: Uint8Array.of(1, 2, 255) } };
  const bare = create(ContentBlockSchema, { content: { case: "image", value: { format: ImageFormat.PNG, source } } });
  const unnamed = requestOf(EMPTY, [create(MessageSchema, { role: Role.USER, content: [bare] })]);
  assert.match(python(unnamed, gateway), /^import base64$[^]*base64\.b64decode\("AQL\/"\)/m);
  assert.match(typescript(unnamed, gateway), /atob\("AQL\/"\)/);
});

test("a gateway behind TLS", () => {
  const tls = new URL("https://gateway.example.com");
  assert.match(grpcurl(asking("hi"), tls).line, /^grpcurl -d '.*' gateway\.example\.com:443 /);
  assert.match(python(asking("hi"), tls), /secure_channel\("gateway\.example\.com:443", grpc\.ssl_channel_credentials\(\)\)/);
  assert.match(typescript(asking("hi"), tls), /baseUrl: "https:\/\/gateway\.example\.com"/);
});

test("code is no wider than a screen where it can be broken", () => {
  const code = python(asking("one", "two", "three", "a text of some length that fills a line"), gateway);
  const request = code.slice(code.indexOf("request = "));
  for (const line of request.split("\n")) {
    assert.ok(line.length <= 110, line);
  }
});
