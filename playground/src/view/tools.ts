// The tools that the model may call.

import { jsonProblem } from "../json";
import type { ToolDraft } from "../request";
import { byId, growing, h } from "./dom";

/** The initial content of a new tool: an example explains more than an empty field. */
export const EXAMPLE: ToolDraft = {
  name: "get_weather",
  description: "The weather at a place.",
  schema: `{
  "type": "object",
  "properties": {
    "place": {"type": "string"},
    "unit": {"enum": ["celsius", "fahrenheit"]}
  },
  "required": ["place"]
}`,
};

const list = byId("tools", HTMLElement);
const choiceField = byId("tool-choice-field", HTMLElement);
const choice = byId("tool-choice", HTMLSelectElement);
const addButton = byId("add-tool", HTMLButtonElement);

export class Tools {
  private editors: Editor[] = [];

  constructor() {
    addButton.addEventListener("click", () => {
      const isFirst = this.editors.length === 0;
      this.add(isFirst ? EXAMPLE : { name: "", description: "", schema: '{"type": "object", "properties": {}}' }).focus();
    });
  }

  add(draft: ToolDraft): Editor {
    const editor = new Editor(
      draft,
      () => this.showChoice(),
      () => {
        this.editors = this.editors.filter((other) => other !== editor);
        this.showChoice();
        addButton.focus();
      },
    );
    this.editors.push(editor);
    list.append(editor.element);
    this.showChoice();
    return editor;
  }

  drafts(): ToolDraft[] {
    return this.editors.map((editor) => editor.draft());
  }

  choice(): string {
    return choice.value;
  }

  private showChoice(): void {
    choiceField.hidden = this.editors.length === 0;
    const names = this.drafts()
      .map(({ name }) => name)
      .filter(Boolean);
    const before = choice.value;
    choice.replaceChildren(
      h("option", { value: "auto" }, "auto"),
      h("option", { value: "any" }, "any"),
      ...names.map((name) => h("option", { value: `tool:${name}` }, name)),
    );
    choice.value = before;
    if (choice.selectedIndex < 0) {
      choice.value = "auto";
    }
  }
}

class Editor {
  readonly element: HTMLElement;
  private static count = 0;
  private readonly name: HTMLInputElement;
  private readonly description: HTMLTextAreaElement;
  private readonly schema: HTMLTextAreaElement;

  constructor(draft: ToolDraft, changed: () => void, removed: () => void) {
    const id = `tool-${++Editor.count}`;
    this.name = h("input", {
      id: `${id}-name`,
      className: "code",
      value: draft.name,
      required: true,
      maxLength: 64,
      pattern: "[a-zA-Z0-9_\\-]+",
      title: "Letters, digits, _ and -",
      spellcheck: false,
      autocapitalize: "off",
    });
    this.description = h("textarea", { id: `${id}-description`, value: draft.description, rows: 1 });
    this.schema = h("textarea", { id: `${id}-schema`, className: "code", value: draft.schema, rows: 4, required: true, spellcheck: false });
    this.element = h(
      "fieldset",
      { className: "tool" },
      h("legend", { className: "sr" }, `Tool ${Editor.count}`),
      h("div", { className: "field" }, h("label", { for: this.name.id }, "Name"), this.name),
      h("div", { className: "field" }, h("label", { for: this.description.id }, "Description"), this.description),
      h(
        "div",
        { className: "field" },
        h("label", { for: this.schema.id }, "Input schema ", h("span", { className: "note" }, "JSON, sent as written")),
        this.schema,
      ),
      h(
        "button",
        {
          type: "button",
          className: "quiet",
          onclick: () => {
            this.element.remove();
            removed();
          },
        },
        "Remove",
        h("span", { className: "sr" }, " this tool"),
      ),
    );
    growing(this.description);
    growing(this.schema);
    this.name.addEventListener("input", changed);
    this.schema.addEventListener("input", () => {
      this.split();
      this.schema.setCustomValidity(jsonProblem(this.schema.value));
      changed();
    });
  }

  focus(): void {
    this.name.focus();
    this.name.select();
  }

  draft(): ToolDraft {
    return { name: this.name.value, description: this.description.value.trim(), schema: this.schema.value };
  }

  /**

   * Splits a complete definition that was pasted into the schema field: Converse's form, or

   * `name`, `description` and a schema.

   */
  private split(): void {
    const whole = definition(this.schema.value);
    if (whole) {
      this.name.value = whole.name;
      this.description.value = whole.description;
      this.schema.value = whole.schema;
      this.description.dispatchEvent(new Event("input"));
      requestAnimationFrame(() => this.schema.dispatchEvent(new Event("input")));
    }
  }
}

function definition(text: string): ToolDraft | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const outer = member(value, "toolSpec") ?? member(value, "function") ?? value;
  const name = member(outer, "name");
  const given = member(outer, "inputSchema") ?? member(outer, "input_schema") ?? member(outer, "parameters");
  const schema = member(given, "json") ?? given;
  if (typeof name !== "string" || typeof schema !== "object") {
    return undefined;
  }
  const description = member(outer, "description");
  return { name, description: typeof description === "string" ? description : "", schema: JSON.stringify(schema, null, 2) };
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
