// In place of the wallets for Solana themselves.
module.exports = { PhantomWalletAdapter: class {} };
