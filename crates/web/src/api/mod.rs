//! The handlers: wire type in, one use case, wire type out.

pub(crate) mod businesses;
pub(crate) mod codat;
pub(crate) mod events;
pub(crate) mod keys;
pub(crate) mod payline;
pub(crate) mod refusals;
pub(crate) mod verify;
pub(crate) mod webhooks;
pub(crate) mod whoami;
