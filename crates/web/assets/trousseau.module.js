Trousseau.home = new URL(".", import.meta.url).href;
export { Trousseau, Trousseau as default };
