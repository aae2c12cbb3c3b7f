//! The API through its public HTTP interface; the modules mirror the URLs.

mod authority;
mod businesses;
mod currencies;
mod doors;
mod edge;
mod events;
mod idempotency;
mod invoice_mails;
mod keys;
mod keys_limits;
mod keys_list;
mod keys_rotate;
mod leaks;
mod notices;
mod pages;
mod payments;
mod people;
mod refunds;
mod refusals;
mod requests;
mod rights;
mod shop_script;
mod system;
mod verify;
mod webhooks;
mod whoami;
