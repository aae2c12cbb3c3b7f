//! The real executable, from outside.

mod backup;
mod bound;
mod canary;
mod client;
mod collecting;
mod commands;
mod configuration;
mod connections;
mod deploy;
mod envoy;
mod faults;
mod import;
mod kept;
mod kill;
mod kill_live;
mod kill_many;
mod kill_payments;
mod members;
mod networks;
mod nodes;
mod private_keys;
mod process;
mod secrets;
mod traces;
mod welcome;
