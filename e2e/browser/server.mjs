// A server of its own for each test file: a fresh data folder, a free port, the debug build.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
export const program = new URL("../../target/debug/trousseau", import.meta.url).pathname;

/** Starts one. `more` are further arguments of `serve`, `variables` stand beside the usual ones. */
export async function start(more = [], variables = {}) {
  const folder = await mkdtemp(join(tmpdir(), "trousseau-browser-"));
  const data = join(folder, "data");
  const said = { out: "", log: "" };
  let child, ended;

  const serve = async (listen) => {
    said.out = "";
    child = spawn(program, ["serve", "--data-dir", data, "--listen", listen, "--welcome", "Atelier Lumière", ...more], {
      env: { ...process.env, ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.on("data", (text) => (said.out += text));
    child.stderr.on("data", (text) => (said.log += text));
    ended = new Promise((resolve) => child.once("exit", resolve));
    for (let waited = 0; !/Try it|No TEST secret key/.test(said.out); waited += 100) {
      if (child.exitCode !== null || waited > 60_000) {
        await stop();
        throw new Error(`the server did not start:\n${said.out}\n${said.log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const end = async (signal) => {
    child.kill(signal);
    await ended;
  };
  const stop = async () => {
    await end("SIGTERM");
    await rm(folder, { recursive: true, force: true });
  };
  await serve("127.0.0.1:0");
  const url = /https?:\/\/localhost:\d+/.exec(said.out)[0];
  return {
    url,
    data,
    said,
    stop,
    /** Ends it, at once unless told otherwise. Its data and its port stay. */
    halt: (signal = "SIGKILL") => end(signal),
    /** The same again after `halt`. */
    resume: () => serve(`127.0.0.1:${new URL(url).port}`),
    /** The command line at work on the same data. */
    async cli(...args) {
      const { stdout } = await run(program, [...args, "--data-dir", data]);
      return stdout;
    },
    /** The newest mail to an address that holds `text`, which lands in a file where no mail server is set. */
    async mail(address, text = "") {
      const folder = join(data, "mails");
      for (let waited = 0; waited < 20_000; waited += 250) {
        const names = (await readdir(folder).catch(() => [])).sort().reverse();
        for (const name of names) {
          const mail = decoded(await readFile(join(folder, name), "utf8"));
          if (mail.includes(address) && mail.includes(text)) return mail;
        }
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      throw new Error(`no mail to ${address}`);
    },
  };
}

/** Quoted-printable, as far as links need it. */
function decoded(mail) {
  return mail.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}
