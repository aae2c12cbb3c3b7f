//! Test-only: the application on a fresh database, and clients of it in the same process.

pub mod app;
pub mod browser;
pub mod client;
pub mod node;
pub mod pdf;
pub mod receiver;
