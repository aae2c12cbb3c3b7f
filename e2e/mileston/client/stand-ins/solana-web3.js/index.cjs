// In place of Solana's client: no network is asked.
module.exports = { clusterApiUrl: (network) => `https://solana.invalid/${network}`, PublicKey: class {}, Transaction: class {}, SystemProgram: {}, LAMPORTS_PER_SOL: 1_000_000_000 };
