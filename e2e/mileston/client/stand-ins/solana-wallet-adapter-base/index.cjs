// In place of the base of wallets for Solana.
module.exports = { WalletAdapterNetwork: { Mainnet: "mainnet-beta", Devnet: "devnet" } };
