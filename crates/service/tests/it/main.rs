//! Payments on every ledger there is: one list of scenarios, run against the ledger of TEST and against a real node.

mod bound;
mod currencies;
mod faults;
mod forwarder;
mod ledgers;
mod operation;
mod proxy;
mod scenarios;
mod shop;
mod sums;
mod wallet;
