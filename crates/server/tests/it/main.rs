//! The real executable, from outside.

mod commands;
mod configuration;
mod connections;
mod import;
mod kill;
mod process;
mod welcome;
