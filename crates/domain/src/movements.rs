//! Movements of money, as an accountant books them.

use serde::{Deserialize, Serialize};

use crate::text::text_enum;

text_enum! {
    /// What moved money.
    MovementKind {
        /// Money came in.
        Deposit = "deposit",
        /// Money was given back: the ledger holds that it was sent.
        Refund = "refund",
        /// A ledger took back what had come in.
        Reversal = "reversal",
    }
}

text_enum! {
    /// Which way it went, as the business sees it.
    Direction {
        /// To the business.
        In = "in",
        /// Away from it.
        Out = "out",
    }
}

text_enum! {
    /// How far a movement is to be relied on.
    MovementStatus {
        /// Seen, and not final yet.
        Confirming = "confirming",
        /// Final.
        Final = "final",
        /// It came in and no payment takes it; somebody has to look at it.
        Unmatched = "unmatched",
        /// The same, and somebody has.
        Dismissed = "dismissed",
        /// The ledger took it back: a reversal of the same amount stands against it.
        TakenBack = "taken_back",
    }
}

impl MovementKind {
    /// Which way such money goes.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Deposit => Direction::In,
            Self::Refund | Self::Reversal => Direction::Out,
        }
    }
}
