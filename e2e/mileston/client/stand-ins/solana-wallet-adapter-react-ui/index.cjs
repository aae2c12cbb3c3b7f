// In place of the buttons of wallets for Solana.
module.exports = { WalletModalProvider: ({ children }) => children, WalletMultiButton: () => null };
