//! The API through its public HTTP interface; the modules mirror the URLs.

mod authority;
mod edge;
mod keys;
mod pages;
mod rights;
mod system;
mod whoami;
