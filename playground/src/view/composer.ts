// The input for messages.

import { create } from "@bufbuild/protobuf";
import { type ContentBlock, ContentBlockSchema, type Message } from "../../gen/bedrock/inference/v1/content_pb";
import { ACCEPTED, attach, type Attachment, blockOf } from "../attachment";
import { sizeText } from "../figures";
import { picture } from "./blocks";
import { byId, growing, h } from "./dom";

const form = byId("composer", HTMLFormElement);
const text = byId("message", HTMLTextAreaElement);
const list = byId("attachments", HTMLUListElement);
const input = byId("attach", HTMLInputElement);
const send = byId("send", HTMLButtonElement);
const stop = byId("stop", HTMLButtonElement);
const problem = byId("composer-problem", HTMLElement);

export class Composer {
  private attachments: Attachment[] = [];

  constructor(onSend: () => void, onStop: () => void) {
    growing(text);
    input.accept = ACCEPTED;
    input.addEventListener("change", () => {
      void this.attach([...(input.files ?? [])]);
      input.value = "";
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!send.hidden) {
        onSend();
      }
    });
    text.addEventListener("keydown", (event) => {
      // While an input method composes, it uses the Enter key.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    text.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length > 0) {
        event.preventDefault();
        void this.attach(files);
      }
    });
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      void this.attach([...(event.dataTransfer?.files ?? [])]);
    });
    stop.addEventListener("click", onStop);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !stop.hidden) {
        onStop();
      }
    });
  }

  /** The input as content. Empty if there is none. */
  content(): ContentBlock[] {
    const blocks = this.attachments.map(blockOf);
    if (text.value.trim() !== "") {
      blocks.push(create(ContentBlockSchema, { content: { case: "text", value: text.value } }));
    }
    return blocks;
  }

  clear(): void {
    this.write("");
    this.attachments = [];
    this.show();
  }

  write(words: string): void {
    text.value = words;
    text.dispatchEvent(new Event("input"));
  }

  /** Puts a message back into the input, to edit it. */
  restore(message: Message, attachments: Attachment[]): void {
    const words = message.content.flatMap(({ content }) => (content.case === "text" ? [content.value] : []));
    this.write(words.join("\n\n"));
    this.attachments = attachments;
    this.show();
    this.focus();
  }

  /** The attachments of the current message. */
  attached(): Attachment[] {
    return [...this.attachments];
  }

  focus(): void {
    text.focus({ preventScroll: true });
  }

  /** Whether the input has the focus and is empty. */
  isIdle(): boolean {
    const at = document.activeElement;
    return text.value === "" && (at === text || at === document.body || at === stop || at === send);
  }

  /** Send or stop: one at a time, in the same place. */
  setBusy(busy: boolean): void {
    const hadFocus = document.activeElement === send || document.activeElement === stop;
    send.hidden = busy;
    stop.hidden = !busy;
    if (hadFocus) {
      (busy ? stop : text).focus({ preventScroll: true });
    }
  }

  private async attach(files: File[]): Promise<void> {
    problem.textContent = "";
    for (const file of files) {
      try {
        this.attachments.push(await attach(file));
      } catch (error) {
        problem.textContent = error instanceof Error ? error.message : String(error);
      }
    }
    this.show();
    this.focus();
  }

  private show(): void {
    list.replaceChildren(...this.attachments.map((attachment) => this.item(attachment)));
    list.hidden = this.attachments.length === 0;
  }

  private item(attachment: Attachment): HTMLLIElement {
    const { name, type, bytes, kind, cite } = attachment;
    const remove = () => {
      this.attachments = this.attachments.filter((other) => other !== attachment);
      this.show();
      this.focus();
    };
    const change = (event: Event) => {
      attachment.cite = (event.target as HTMLInputElement).checked;
    };
    return h(
      "li",
      {},
      "image" in kind && picture(bytes, type, ""),
      h("span", { className: "name" }, name),
      h("span", { className: "note" }, sizeText(bytes.length)),
      "document" in kind && h("label", { className: "check" }, h("input", { type: "checkbox", checked: cite, onchange: change }), "cite"),
      h("button", { type: "button", className: "quiet small", "aria-label": `Remove ${name}`, onclick: remove }, "Remove"),
    );
  }
}
