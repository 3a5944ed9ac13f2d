// Files that are attached to a message.

import { create } from "@bufbuild/protobuf";
import { type ContentBlock, ContentBlockSchema } from "../gen/bedrock/inference/v1/content_pb";
import { DocumentFormat, ImageFormat } from "../gen/bedrock/inference/v1/media_pb";

export interface Attachment {
  /** The file's name. */
  name: string;
  type: string;
  bytes: Uint8Array;
  kind: { image: ImageFormat } | { document: DocumentFormat };
  /** Whether the model should cite it. Documents only. */
  cite: boolean;
}

const IMAGES: Record<string, ImageFormat> = {
  png: ImageFormat.PNG,
  jpg: ImageFormat.JPEG,
  jpeg: ImageFormat.JPEG,
  gif: ImageFormat.GIF,
  webp: ImageFormat.WEBP,
};

const DOCUMENTS: Record<string, DocumentFormat> = {
  pdf: DocumentFormat.PDF,
  csv: DocumentFormat.CSV,
  doc: DocumentFormat.DOC,
  docx: DocumentFormat.DOCX,
  xls: DocumentFormat.XLS,
  xlsx: DocumentFormat.XLSX,
  htm: DocumentFormat.HTML,
  html: DocumentFormat.HTML,
  txt: DocumentFormat.TXT,
  md: DocumentFormat.MD,
};

/** For a file input's `accept`. */
export const ACCEPTED = [...Object.keys(IMAGES), ...Object.keys(DOCUMENTS)].map((ending) => `.${ending}`).join(",");

/** The names of the files that bytes were read from, for code that reads them again. */
const fileNames = new WeakMap<Uint8Array, string>();

export function fileNameOf(bytes: Uint8Array): string | undefined {
  return fileNames.get(bytes);
}

/**

 * Reads a file. Throws an `Error` with a readable message if Bedrock does not accept its format.

 */
export async function attach(file: File): Promise<Attachment> {
  const ending = /\.([^.]+)$/.exec(file.name)?.[1]?.toLowerCase() ?? "";
  // Pasted content has a type, and often no name.
  const fromType = /^image\/(\w+)$/.exec(file.type)?.[1] ?? "";
  const image = IMAGES[ending] ?? IMAGES[fromType];
  const document = DOCUMENTS[ending];
  const kind = image !== undefined ? { image } : document !== undefined ? { document } : undefined;
  if (!kind) {
    throw new Error(`${file.name} can't be attached: Bedrock accepts ${ACCEPTED.replaceAll(",", ", ")}`);
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes.length === 0) {
    throw new Error(`${file.name} is empty`);
  }
  fileNames.set(bytes, file.name);
  return { name: file.name, type: file.type, bytes, kind, cite: false };
}

export function blockOf({ name, bytes, kind, cite }: Attachment): ContentBlock {
  const source = { source: { case: "bytes" as const, value: bytes } };
  if ("image" in kind) {
    return create(ContentBlockSchema, { content: { case: "image", value: { format: kind.image, source } } });
  }
  return create(ContentBlockSchema, {
    content: {
      case: "document",
      value: { format: kind.document, name: documentName(name), source, ...(cite && { citations: { enabled: true } }) },
    },
  });
}

/** A file's name in the characters that Bedrock allows for documents. */
export function documentName(fileName: string): string {
  const name = fileName
    .replace(/\.[^.]*$/, "")
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9\s()[\]-]+/g, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 200);
  return name || "document";
}
