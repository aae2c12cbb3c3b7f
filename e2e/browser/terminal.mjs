// What somebody does who follows a page of the documentation: terminals, with commands as they are printed there.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { program } from "./server.mjs";

export const root = new URL("../..", import.meta.url).pathname;

/** The blocks of a page in a language, in their order. */
export function blocks(page, language) {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text]) => text.trim());
}

/** Starts a program that says where it listens, and goes on saying things. */
export async function listening(command, variables = {}) {
  const child = spawn("bash", ["-c", `exec ${command}`], {
    cwd: root,
    env: { ...process.env, ...variables },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let heard = "";
  child.stdout.on("data", (text) => (heard += text));
  const said = async (pattern) => {
    for (let waited = 0; waited < 60_000; waited += 100) {
      const found = pattern.exec(heard);
      if (found) return found;
      if (child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${pattern} is not in:\n${heard}`);
  };
  const [, address] = await said(/listening on (https?:\/\/[^\s,]+)/);
  return { address, said, end: () => child.kill() };
}

/** A shell that goes from command to command, as a person's does, beside a server. */
export function terminal(site, variables = {}) {
  const child = spawn("bash", ["-s"], {
    cwd: root,
    env: { ...process.env, PATH: `${dirname(program)}:${process.env.PATH}`, TROUSSEAU_DATA_DIR: site.data, ...variables },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.write("set -euo pipefail\n");
  let out = "";
  child.stdout.on("data", (text) => (out += text));
  return {
    async run(command) {
      out = "";
      child.stdin.write(`${command}\nprintf '\\n-- done --\\n'\n`);
      for (let waited = 0; !out.endsWith("\n-- done --\n"); waited += 50) {
        if (child.exitCode !== null || waited > 60_000) throw new Error(`${command}\nended with:\n${out}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return out.slice(0, -"\n-- done --\n".length);
    },
    end: () => child.kill(),
  };
}

/** A port that nobody listens at. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return String(port);
}
