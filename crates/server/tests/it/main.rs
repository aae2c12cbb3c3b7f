//! The real executable, from outside.

mod configuration;
mod connections;
mod process;
