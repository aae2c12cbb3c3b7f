// In place of wallets for Solana: nobody is connected.
const within = ({ children }) => children;
module.exports = {
  ConnectionProvider: within,
  WalletProvider: within,
  useConnection: () => ({ connection: {} }),
  useWallet: () => ({ publicKey: null, sendTransaction: async () => { throw new Error("there is no wallet"); }, disconnect() {} }),
};
