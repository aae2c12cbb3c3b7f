//! Every function of the store, on both engines.

mod backup;
mod businesses;
mod dialect;
mod events;
mod groups;
mod keys;
mod keys_list;
mod ledgers;
mod limits;
mod nodes;
mod opening;
mod parity;
mod payables;
mod people;
mod platform_keys;
mod records;
mod requests;
mod samples;
mod versions;
mod watching;
mod webhooks;
