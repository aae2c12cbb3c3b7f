// In place of Solana's tokens: nothing is moved.
module.exports = {};
