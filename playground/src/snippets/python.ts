// The request in Python, for grpcio and the modules that grpcio-tools generates.

import type { DescMessage } from "@bufbuild/protobuf";
import type { StreamInvokeRequest } from "../../gen/bedrock/inference/v1/inference_service_pb";
import { fileNameOf } from "../attachment";
import { layout, LITERAL_BREAK, type MessageNode, type Node, nodes, treeOf } from "./tree";

const group = layout("    ", "");

export function python(request: StreamInvokeRequest, gateway: URL): string {
  const tree = treeOf(request);
  const service = "inference_service_pb2";
  const modules = new Set([service]);
  for (const node of nodes(tree)) {
    if (node.kind === "message") {
      modules.add(moduleOf(node.desc));
    }
  }
  const encoded = [...nodes(tree)].some((node) => node.kind === "bytes" && fileNameOf(node.value) === undefined);
  const imports = [...modules, `${service}_grpc`].sort();
  const address = `"${gateway.hostname}:${gateway.port || (gateway.protocol === "https:" ? "443" : "80")}"`;
  const channel =
    gateway.protocol === "https:"
      ? `grpc.secure_channel(${address}, grpc.ssl_channel_credentials())`
      : `grpc.insecure_channel(${address})`;
  return `# pip install grpcio grpcio-tools
# python -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. proto/bedrock/inference/v1/*.proto
${encoded ? "import base64\n\n" : ""}import grpc
${group("from bedrock.inference.v1 import (", imports, ")")}

channel = ${channel}
client = ${service}_grpc.InferenceServiceStub(channel)

request = ${value(tree)}

for response in client.StreamInvoke(request):
    print(response.content_block_delta.text, end="", flush=True)
    if response.HasField("metadata"):
        print("\\n", response.metadata.metadata.usage)
`.replaceAll(LITERAL_BREAK, "\n");
}

function moduleOf(desc: DescMessage): string {
  return `${desc.file.name.split("/").at(-1)}_pb2`;
}

function value(node: Node): string {
  switch (node.kind) {
    case "message":
      return message(node);
    case "list":
      return group("[", node.items.map(value), "]");
    case "enum":
      return JSON.stringify(node.desc.values.find(({ number }) => number === node.value)?.name ?? node.value);
    case "text":
      return text(node.value);
    case "bytes": {
      const file = fileNameOf(node.value);
      return file === undefined
        ? `base64.b64decode("${btoa(String.fromCharCode(...node.value))}")`
        : `open(${text(file)}, "rb").read()`;
    }
    case "number":
      return String(node.value);
    case "bool":
      return node.value ? "True" : "False";
  }
}

function message(node: MessageNode): string {
  const fields = node.fields.map(({ desc, value: field }) => `${desc.name}=${value(field)}`);
  return group(`${moduleOf(node.desc)}.${node.desc.name}(`, fields, ")");
}

/** Keeps texts of several lines readable, and their content unchanged. */
function text(value: string): string {
  if (/[\n"]/.test(value) && !/[\\\r\0]|"""|"$/.test(value) && !/[^\n -~\u00a0-\uffff]/.test(value)) {
    return value.includes("\n") ? `"""${value.replaceAll("\n", LITERAL_BREAK)}"""` : value.includes("'") ? JSON.stringify(value) : `'${value}'`;
  }
  return JSON.stringify(value);
}
