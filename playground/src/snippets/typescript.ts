// The request in TypeScript, for connect-web and the modules that protoc-gen-es generates.

import type { StreamInvokeRequest } from "../../gen/bedrock/inference/v1/inference_service_pb";
import { fileNameOf } from "../attachment";
import { layout, LITERAL_BREAK, type MessageNode, type Node, nodes, treeOf } from "./tree";

const list = layout("  ", "");
const object = layout("  ", " ");

export function typescript(request: StreamInvokeRequest, gateway: URL): string {
  const tree = treeOf(request);
  const imports = new Map<string, Set<string>>([["bedrock/inference/v1/inference_service", new Set(["InferenceService"])]]);
  let files = false;
  for (const node of nodes(tree)) {
    if (node.kind === "enum") {
      const { name } = node.desc.file;
      imports.set(name, (imports.get(name) ?? new Set()).add(node.desc.name));
    }
    files ||= node.kind === "bytes" && fileNameOf(node.value) !== undefined;
  }
  const lines = [...imports].sort(([a], [b]) => a.localeCompare(b)).map(([file, names]) => `import { ${[...names].sort().join(", ")} } from "./gen/${file}_pb";`);
  return `// npm install @bufbuild/protobuf @connectrpc/connect @connectrpc/connect-web
// npx buf generate proto, with the plugin protoc-gen-es
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
${lines.join("\n")}
${files ? 'import { readFile } from "node:fs/promises";\n' : ""}
const transport = createGrpcWebTransport({ baseUrl: "${gateway.origin}" });
const client = createClient(InferenceService, transport);

const stream = client.streamInvoke(${message(tree)});

let answer = "";
for await (const { event } of stream) {
  if (event.case === "contentBlockDelta" && event.value.delta.case === "text") {
    answer += event.value.delta.value;
  } else if (event.case === "metadata") {
    console.log(answer, event.value.metadata?.usage);
  }
}
`.replaceAll(LITERAL_BREAK, "\n");
}

function value(node: Node): string {
  switch (node.kind) {
    case "message":
      return message(node);
    case "list":
      return list("[", node.items.map(value), "]");
    case "enum": {
      const word = node.desc.values.find(({ number }) => number === node.value)?.localName;
      return word === undefined ? String(node.value) : `${node.desc.name}.${word}`;
    }
    case "text":
      return text(node.value);
    case "bytes": {
      const file = fileNameOf(node.value);
      return file === undefined
        ? `Uint8Array.from(atob("${btoa(String.fromCharCode(...node.value))}"), (c) => c.charCodeAt(0))`
        : `await readFile(${JSON.stringify(file)})`;
    }
    case "number":
      return typeof node.value === "bigint" ? `${node.value}n` : String(node.value);
    case "bool":
      return String(node.value);
  }
}

/** A oneof is one property: its case and its value. */
function message(node: MessageNode): string {
  const fields = node.fields.map(({ desc, value: field }) =>
    desc.oneof
      ? `${desc.oneof.localName}: ${object("{", [`case: "${desc.localName}"`, `value: ${value(field)}`], "}")}`
      : `${desc.localName}: ${value(field)}`,
  );
  return object("{", fields, "}");
}

/** Keeps texts of several lines readable, and their content unchanged. */
function text(value: string): string {
  if (/[\n"]/.test(value) && !value.includes("\r")) {
    return `\`${value.replace(/[\\`]|\$\{/g, "\\$&").replaceAll("\n", LITERAL_BREAK)}\``;
  }
  return JSON.stringify(value);
}
