// Puts the page together in one file: node build.mjs [FOLDER]. What differs from place to place comes from the environment.
import { build } from "esbuild";

const { TROUSSEAU_URL, CHECKOUT_KEY, BUSINESS } = process.env;
const [folder = "public"] = process.argv.slice(2);

await build({
  entryPoints: ["main.jsx"],
  outfile: `${folder}/shop.js`,
  bundle: true,
  minify: true,
  format: "esm",
  jsx: "automatic",
  define: {
    "process.env": JSON.stringify({ TROUSSEAU_URL, CHECKOUT_KEY, BUSINESS }),
    "process.env.NODE_ENV": '"production"',
  },
});
