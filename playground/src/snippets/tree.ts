// A message as a tree that each language writes in its own way.

import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { isReflectMessage, reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { type StreamInvokeRequest, StreamInvokeRequestSchema } from "../../gen/bedrock/inference/v1/inference_service_pb";

export interface MessageNode {
  kind: "message";
  desc: DescMessage;
  /** Those that are set. */
  fields: { desc: DescField; value: Node }[];
}

export type Node =
  | MessageNode
  | { kind: "list"; items: Node[] }
  | { kind: "enum"; desc: DescEnum; value: number }
  | { kind: "text"; value: string }
  | { kind: "bytes"; value: Uint8Array }
  | { kind: "number"; value: number | bigint }
  | { kind: "bool"; value: boolean };

export function treeOf(request: StreamInvokeRequest): MessageNode {
  return message(reflect(StreamInvokeRequestSchema, request));
}

function message(reflected: ReflectMessage): MessageNode {
  const fields = reflected.sortedFields.filter((desc) => reflected.isSet(desc));
  return {
    kind: "message",
    desc: reflected.desc,
    fields: fields.map((desc) => ({ desc, value: field(desc, reflected.get(desc)) })),
  };
}

function field(desc: DescField, value: unknown): Node {
  if (desc.fieldKind === "list") {
    return { kind: "list", items: [...(value as Iterable<unknown>)].map((item) => single(desc.enum, item)) };
  }
  return single(desc.enum, value);
}

function single(desc: DescEnum | undefined, value: unknown): Node {
  if (isReflectMessage(value)) {
    return message(value);
  }
  if (desc) {
    return { kind: "enum", desc, value: value as number };
  }
  if (value instanceof Uint8Array) {
    return { kind: "bytes", value };
  }
  switch (typeof value) {
    case "number":
    case "bigint":
      return { kind: "number", value };
    case "boolean":
      return { kind: "bool", value };
    default:
      return { kind: "text", value: String(value) };
  }
}

/** All nodes, each before its children. */
export function* nodes(node: Node): Generator<Node> {
  yield node;
  const inner = node.kind === "message" ? node.fields.map(({ value }) => value) : node.kind === "list" ? node.items : [];
  for (const child of inner) {
    yield* nodes(child);
  }
}

/** The maximum width of code. */
export const WIDTH = 100;

/** A placeholder for line breaks inside literals, which must not be indented. */
export const LITERAL_BREAK = "\u0000";

/** Writes `open a, b close` on one line if it fits, else one item per line. */
export function layout(indent: string, space: string) {
  return (open: string, items: string[], close: string): string => {
    if (items.length === 0) {
      return open + close;
    }
    const line = `${open}${space}${items.join(", ")}${space}${close}`;
    if (line.length <= WIDTH && !line.includes("\n")) {
      return line;
    }
    // Not with `^`, which treats U+2028 in a text as the end of a line, too.
    return `${open}\n${items.map((item) => `${indent}${item.replaceAll("\n", `\n${indent}`)},\n`).join("")}${close}`;
  };
}
