// Compiles the contracts and writes what is committed beside them: `npm ci && npm run contracts` in this folder.
// Ours use no instruction that one of the networks might lack (paris).
// A change of contracts/Forwarder.sol changes every deposit address: those given out before need the old artefact.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const solc = require("solc");
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");

function compile(file, name, wanted, evmVersion) {
  const input = {
    language: "Solidity",
    sources: { [name]: { content: readFileSync(file, "utf8") } },
    settings: {
      evmVersion,
      optimizer: { enabled: true, runs: 1 }, // small code: a forwarder is deployed more often than it is called
      viaIR: true,
      debug: { revertStrings: "strip" },
      metadata: { bytecodeHash: "none", appendCBOR: false }, // the same bytes wherever it is compiled
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.methodIdentifiers"] } },
    },
  };
  const find = (path) => ({ contents: readFileSync(require.resolve(path), "utf8") });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: find }));
  const errors = (output.errors ?? []).filter((error) => error.severity === "error");
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  const contracts = {};
  for (const contract of wanted) {
    const made = output.contracts[name][contract];
    contracts[contract] = { bytecode: `0x${made.evm.bytecode.object}`, methods: made.evm.methodIdentifiers };
  }
  return { compiler: solc.version(), contracts };
}

function write(path, artefact) {
  writeFileSync(path, `${JSON.stringify(artefact, null, 2)}\n`);
  console.log(`wrote ${path.slice(root.length + 1)}`);
}

write(
  join(root, "contracts/forwarder.json"),
  compile(join(root, "contracts/Forwarder.sol"), "Forwarder.sol", ["Forwarder", "ForwarderFactory"], "paris"),
);
write(
  join(here, "fixtures/test_token.json"),
  compile(join(here, "fixtures/TestToken.sol"), "TestToken.sol", ["TestToken", "Batch", "Liar"], "cancun"),
);
