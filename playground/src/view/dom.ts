// Small helpers over the DOM.

type Child = Node | string | undefined | false;

/** Makes an element. Properties are set as properties, but for `aria-*`, `role` and `for`. */
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

/** Lets a text area grow with what is in it. */
export function growing(area: HTMLTextAreaElement): void {
  const grow = () => {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
  };
  area.addEventListener("input", grow);
  // Before it is in the page, it has no height.
  requestAnimationFrame(grow);
}

const status = byId("status", HTMLElement);
const alert = byId("alert", HTMLElement);

/** Tells screen readers, when they have finished with what they are at. */
export function say(text: string): void {
  status.textContent = text;
}

/** Tells screen readers at once. */
export function warn(text: string): void {
  alert.textContent = text;
}
