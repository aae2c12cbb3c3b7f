//! Test-only: clients of the application in the same process.

pub mod client;
