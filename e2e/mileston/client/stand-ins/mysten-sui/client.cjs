// In place of Sui's client: no network is asked.
module.exports = { getFullnodeUrl: (network) => `https://sui.invalid/${network}` };
