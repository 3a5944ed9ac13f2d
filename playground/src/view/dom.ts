// Small helpers for the DOM.

type Child = Node | string | undefined | false;

/** Creates an element. Properties are set as properties, except for `aria-*`, `role` and `for`. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<Omit<HTMLElementTagNameMap[K], "style">> | Record<string, unknown> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name === "role" || name === "for") {
      element.setAttribute(name, String(value));
    } else {
      Reflect.set(element, name, value);
    }
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/** The element of the page with this ID. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) {
    throw new Error(`index.html has no ${type.name} with the ID ${id}`);
  }
  return element;
}

/** Makes a text area grow with its content. */
export function growing(area: HTMLTextAreaElement): void {
  const grow = () => {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
  };
  area.addEventListener("input", grow);
  // The element has no height before it is in the page.
  requestAnimationFrame(grow);
}

const status = byId("status", HTMLElement);
const alert = byId("alert", HTMLElement);

/** Announces a text to screen readers, after their current announcement. */
export function say(text: string): void {
  status.textContent = text;
}

/** Announces a text to screen readers immediately. */
export function warn(text: string): void {
  alert.textContent = text;
}
