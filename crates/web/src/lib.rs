//! What is said: the HTTP API in its dialects, and the pages. The only crate that names axum.

mod answer;
mod api;
pub mod authority;
pub mod body;
pub mod connection;
mod cors;
pub mod dashboard;
pub mod dialect;
pub mod edge;
mod explain;
pub mod fast;
pub mod gateway;
pub mod idempotency;
pub mod language;
mod movements;
pub mod openapi;
pub mod pages;
pub mod path;
pub mod problem;
pub mod query;
pub mod router;
mod shop_script;
mod stream;
pub mod system;
pub mod telemetry;
mod velocity;
pub mod wire;
