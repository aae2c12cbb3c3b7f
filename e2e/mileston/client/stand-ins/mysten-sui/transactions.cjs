// In place of Sui's transactions: none is made.
module.exports = { Transaction: class {} };
