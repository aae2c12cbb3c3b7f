//! Payments on every ledger there is: one list of scenarios, run against the ledger of TEST and against a real node; and
//! what the servers on one database know of each other.

mod bound;
mod currencies;
mod faults;
mod forwarder;
mod gauges;
mod ledgers;
mod nodes;
mod operation;
mod proxy;
mod scenarios;
mod shop;
mod sums;
mod wallet;
