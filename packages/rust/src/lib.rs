#![doc = include_str!("../README.md")]

mod answer;
mod asked;
mod cache;
mod client;
mod clock;
mod decision;
mod demand;
mod error;
mod flights;
mod layer;
mod question;
mod text;
mod verification;
mod wire;

pub use crate::asked::{Asked, Protocol};
pub use crate::client::{BuildError, Builder, Client};
pub use crate::decision::{Decision, Reason, Refusal};
pub use crate::demand::{Audience, Demand};
pub use crate::error::Error;
pub use crate::layer::{GuardedBody, GuardedFuture, Verify, VerifyLayer};
pub use crate::question::Question;
pub use crate::text::InvalidText;
pub use crate::verification::{BusinessId, Environment, KeyId, KeyKind, RequestId, Scope, Verification, Verified};
