//! What is true in Trousseau: identifiers, keys, profiles, permissions and the one decision whether a key is good.
//!
//! Pure types and rules. Nothing here waits, reads a clock, draws randomness or touches the outside.

#![warn(missing_docs)]

pub mod actor;
pub mod assertion;
pub mod brand;
pub mod business;
pub mod checkout;
pub mod credential;
pub mod decision;
pub mod digest;
pub mod environment;
pub mod events;
pub mod evm;
pub mod ids;
pub mod ip_range;
pub mod key_text;
pub mod keys;
pub mod ledger;
pub mod limits;
pub mod logo;
pub mod members;
pub mod metadata;
pub mod money;
pub mod movements;
pub mod networks;
pub mod origin;
pub mod payables;
pub mod payments;
pub mod platform_keys;
pub mod profile;
pub mod reconciliation;
pub mod recurrence;
pub mod refunds;
pub mod reminders;
pub mod requests;
pub mod scope;
pub mod text;
pub mod time;
pub mod trace;
pub mod webhooks;
pub mod wording;
