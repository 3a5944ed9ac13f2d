// A request as code to copy.

import type { StreamInvokeRequest } from "../../gen/bedrock/inference/v1/inference_service_pb";
import { grpcurl, json } from "../snippets/grpcurl";
import { python } from "../snippets/python";
import { typescript } from "../snippets/typescript";
import { byId, h } from "./dom";

const LANGUAGES = { grpcurl: "grpcurl", python: "Python", typescript: "TypeScript" };
type Language = keyof typeof LANGUAGES;

const dialog = byId("code", HTMLDialogElement);
const tabs = byId("languages", HTMLElement);
const panel = byId("code-panel", HTMLElement);
const text = byId("code-text", HTMLElement);
const copy = byId("copy", HTMLButtonElement);
const copied = byId("copied", HTMLElement);
const download = byId("download", HTMLAnchorElement);
const close = byId("close-code", HTMLButtonElement);

export class CodeDialog {
  private language: Language = "grpcurl";
  private request: StreamInvokeRequest | undefined;
  private readonly buttons = new Map<Language, HTMLButtonElement>();

  constructor() {
    for (const [language, name] of Object.entries(LANGUAGES) as [Language, string][]) {
      const tab = h("button", { type: "button", role: "tab", id: `tab-${language}`, "aria-controls": panel.id, onclick: () => this.choose(language) }, name);
      this.buttons.set(language, tab);
      tabs.append(tab);
    }
    tabs.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step !== 0) {
        const all = [...this.buttons.keys()];
        const next = all.at((all.indexOf(this.language) + step) % all.length);
        if (next) {
          this.choose(next);
          this.buttons.get(next)?.focus();
        }
      }
    });
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => URL.revokeObjectURL(download.href));
    copy.addEventListener("click", () => void this.copy());
  }

  show(request: StreamInvokeRequest): void {
    this.request = request;
    this.choose(this.language);
    dialog.showModal();
    this.buttons.get(this.language)?.focus();
  }

  private choose(language: Language): void {
    if (!this.request) {
      return;
    }
    this.language = language;
    for (const [name, button] of this.buttons) {
      button.setAttribute("aria-selected", String(name === language));
      button.tabIndex = name === language ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${language}`);
    copied.textContent = "";
    const gateway = new URL(location.href);
    const line = grpcurl(this.request, gateway);
    text.textContent = language === "grpcurl" ? line.line : language === "python" ? python(this.request, gateway) : typescript(this.request, gateway);
    // A command is one line; programs have several.
    text.parentElement?.classList.toggle("lines", language !== "grpcurl");
    download.hidden = !(language === "grpcurl" && line.isFile);
    if (!download.hidden) {
      URL.revokeObjectURL(download.href);
      download.href = URL.createObjectURL(new Blob([json(this.request)], { type: "application/json" }));
    }
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text.textContent ?? "");
      copied.textContent = "Copied";
    } catch {
      // Browsers offer no clipboard to pages without TLS, except on the same machine.
      getSelection()?.selectAllChildren(text);
      copied.textContent = "Selected: copy it with the keyboard";
    }
  }
}
