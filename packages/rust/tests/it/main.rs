//! The client and the layer before a server that stands in for Trousseau, and does what Trousseau never does.

mod faults;
mod keeping;
mod layer;
mod stand_in;
