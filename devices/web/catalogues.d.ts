/** Filled in by the build from devices/locale (devices/locale/catalogues.py). */
declare module "catalogues" {
  export interface Catalogue {
    /** The language's own name for itself. */
    name: string;
    direction: "ltr" | "rtl";
    /** Monday first. */
    days: string[];
    months: string[];
    messages: Record<string, string>;
  }
  const catalogues: Record<string, Catalogue>;
  export default catalogues;
}

declare const __VERSION__: string;

declare module "*.svg" {
  const text: string;
  export default text;
}
