//! Why it could not be told whether a key is good.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::decision::Reason;

/// It cannot be told whether the key is good, so nothing may pass. This is no refusal: the caller did nothing wrong.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection, or it ended before the answer did.
    #[error("Trousseau cannot be reached")]
    Unreachable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// No whole answer within the time that a question may take.
    #[error("Trousseau did not answer in time")]
    TimedOut,
    /// Trousseau has too much to do, or cannot prove that what it knows is fresh.
    #[error("Trousseau asks to be asked later")]
    Overloaded {
        /// How long to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// An answer that Trousseau does not give: a redirect, a page, a status of something in between, a text that is too
    /// long or that cannot be read.
    #[error("the answer with status {status} makes no sense: {what}")]
    Unintelligible {
        /// The status of the answer.
        status: StatusCode,
        /// What is wrong with it.
        what: &'static str,
    },
    /// [`Client::verify`] needs a platform key with the scope `verify`, and none was given to the builder.
    ///
    /// [`Client::verify`]: crate::Client::verify
    #[error("no platform key is set")]
    PlatformKeyMissing,
    /// The platform key is not good, or may not verify.
    #[error("the platform key is refused: {reason}")]
    PlatformKeyRefused {
        /// Why, as far as it is told.
        reason: Reason,
    },
    /// Trousseau does not take the question: it is too long, or the two are of different versions.
    #[error("the question is refused with status {status}: {reason}")]
    QuestionRefused {
        /// The status of the answer.
        status: StatusCode,
        /// Why.
        reason: Reason,
    },
}

impl Error {
    /// How long to wait before it makes sense to ask again, where Trousseau says so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn unreachable(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unreachable(Arc::new(cause))
    }
}
