/** Elements without a framework: `element("button", { class: "way", onclick: back }, "Back")`. */

type Child = Node | string | null | false;
type Attribute = string | number | boolean | null | EventListener;

/** A function becomes a listener, `true` an empty attribute; `false` and null leave the attribute out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Attribute> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== false));
  return made;
}
