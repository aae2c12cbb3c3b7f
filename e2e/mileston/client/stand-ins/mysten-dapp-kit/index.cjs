// In place of a wallet for Sui: nobody is connected.
const within = ({ children }) => children;
module.exports = {
  createNetworkConfig: (networks) => ({ networkConfig: networks }),
  SuiClientProvider: within,
  WalletProvider: within,
  ConnectButton: () => null,
  useCurrentAccount: () => null,
  useSuiClient: () => ({}),
  useDisconnectWallet: () => ({ mutate() {} }),
  useSignAndExecuteTransaction: () => ({ mutate: (_, { onError }) => onError(new Error("there is no wallet")) }),
};
