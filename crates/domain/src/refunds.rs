//! Giving back: how much of what came in, where a refund stands, and what the ledger's word does to it.
//!
//! The merchant's own wallet sends the money. We say what to send, and believe that it was sent once the ledger holds
//! exactly this transfer for certain.

use serde::{Deserialize, Serialize};

use crate::money::{InvalidAmount, Money};
use crate::text::text_enum;

text_enum! {
    /// Where a refund stands.
    RefundStatus {
        /// Asked for: the merchant's wallet is to send it.
        Pending = "pending",
        /// A transaction was handed in, and is not final yet.
        Processing = "processing",
        /// It was sent, for certain.
        Succeeded = "succeeded",
        /// The transaction that was handed in does not carry it out, and never will.
        Failed = "failed",
        /// Called off before a transaction was handed in.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Why a refund failed after its transaction was handed in.
    RefundFailure {
        /// The transaction failed and moved nothing.
        Reverted = "transaction_reverted",
        /// It moves something else: another token, another amount, or to another address.
        Mismatch = "transaction_mismatch",
        /// What it moves is another refund, or came in for a payment.
        Taken = "transaction_taken",
        /// It was in no block for a day.
        NotFound = "transaction_not_found",
    }
}

impl RefundStatus {
    /// Whether its amount cannot be given back by another refund.
    pub const fn holds(self) -> bool {
        match self {
            Self::Pending | Self::Processing | Self::Succeeded => true,
            Self::Failed | Self::Cancelled => false,
        }
    }
}

/// What a ledger says about the transaction that is to carry a refund out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is in no block.
    Nothing,
    /// It failed.
    Reverted,
    /// It moves something else.
    Mismatch,
    /// What it moves is spoken for.
    Taken,
    /// It moves exactly what it should, to whom it should.
    Carries,
}

/// Where a refund stands whose transaction was handed in. A transaction that was taken back by a reorganisation is
/// waited for like one that was never seen.
///
/// `is_final` says that the block it is in is there for good: until then a reorganisation may change what it does, for
/// better and for worse. `waited_long` says that it was in no block for as long as anybody waits.
pub const fn after(said: Said, is_final: bool, waited_long: bool) -> (RefundStatus, Option<RefundFailure>) {
    match said {
        Said::Nothing if waited_long => (RefundStatus::Failed, Some(RefundFailure::NotFound)),
        Said::Nothing => (RefundStatus::Processing, None),
        _ if !is_final => (RefundStatus::Processing, None),
        Said::Carries => (RefundStatus::Succeeded, None),
        Said::Reverted => (RefundStatus::Failed, Some(RefundFailure::Reverted)),
        Said::Mismatch => (RefundStatus::Failed, Some(RefundFailure::Mismatch)),
        Said::Taken => (RefundStatus::Failed, Some(RefundFailure::Taken)),
    }
}

/// Why so much cannot be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Nothing is left, or nothing ever came.
    #[error("nothing is left to give back")]
    NothingLeft,
    /// Less is left.
    #[error("at most {0} is left to give back")]
    Left(Money),
    /// No amount of the asset.
    #[error(transparent)]
    Amount(#[from] InvalidAmount),
}

/// What a refund is of: the amount that was asked for, or all that is left of what came in for certain after the refunds
/// that hold (`held`). Never more than came in.
///
/// # Errors
/// [`TooMuch`] with what is left.
pub fn amount_of(received: Money, held: Money, wanted: Option<&str>) -> Result<Money, TooMuch> {
    let left = received.checked_sub(held).unwrap_or(Money::zero(received.asset()));
    if left.is_zero() {
        return Err(TooMuch::NothingLeft);
    }
    match wanted {
        None => Ok(left),
        Some(text) => {
            let amount = Money::parse_price(text, received.asset())?;
            if amount.units() <= left.units() { Ok(amount) } else { Err(TooMuch::Left(left)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Asset;

    fn usdc(units: i64) -> Money {
        Money::from_units(units, Asset::USDC).expect("not below zero")
    }

    #[test]
    fn an_amount_is_the_rest_or_a_part_of_it() {
        assert_eq!(amount_of(usdc(12_500_000), usdc(0), None), Ok(usdc(12_500_000)));
        assert_eq!(amount_of(usdc(12_500_000), usdc(2_500_000), None), Ok(usdc(10_000_000)));
        assert_eq!(amount_of(usdc(12_500_000), usdc(2_500_000), Some("10")), Ok(usdc(10_000_000)));
        let left = TooMuch::Left(usdc(10_000_000));
        assert_eq!(amount_of(usdc(12_500_000), usdc(2_500_000), Some("10.000001")), Err(left));
        assert_eq!(amount_of(usdc(5), usdc(5), None), Err(TooMuch::NothingLeft));
        // A reorganisation may leave less than was promised.
        assert_eq!(amount_of(usdc(5), usdc(6), Some("0.000001")), Err(TooMuch::NothingLeft));
        for bad in ["", "0", "-1", "1e3", "1,5", "0.0000001"] {
            assert!(matches!(amount_of(usdc(5), usdc(0), Some(bad)), Err(TooMuch::Amount(_))), "{bad}");
        }
    }

    #[test]
    fn the_ledger_has_the_word() {
        assert_eq!(after(Said::Nothing, false, false), (RefundStatus::Processing, None));
        assert_eq!(after(Said::Nothing, false, true), (RefundStatus::Failed, Some(RefundFailure::NotFound)));
        assert_eq!(after(Said::Carries, false, true), (RefundStatus::Processing, None));
        assert_eq!(after(Said::Carries, true, true), (RefundStatus::Succeeded, None));
        for (said, why) in [
            (Said::Reverted, RefundFailure::Reverted),
            (Said::Mismatch, RefundFailure::Mismatch),
            (Said::Taken, RefundFailure::Taken),
        ] {
            assert_eq!(after(said, true, false), (RefundStatus::Failed, Some(why)));
            // A fork may include it once more, and there it may do what it should.
            assert_eq!(after(said, false, true), (RefundStatus::Processing, None));
        }
    }

    proptest! {
        #[test]
        fn never_more_is_promised_than_came(
            received in 0i64..10_000,
            // What is asked for each time (nothing: the rest), and what becomes of the refund.
            asked in proptest::collection::vec((proptest::option::of(1i64..4_000), 0usize..5), 0..20),
        ) {
            let ends = RefundStatus::VOCABULARY;
            let mut refunds: Vec<(i64, RefundStatus)> = Vec::new();
            for (wanted, end) in asked {
                let held: i64 = refunds.iter().filter(|(_, status)| status.holds()).map(|(units, _)| units).sum();
                let wanted = wanted.map(|units| usdc(units).to_string());
                if let Ok(amount) = amount_of(usdc(received), usdc(held), wanted.as_deref()) {
                    prop_assert!(amount.units() > 0);
                    refunds.push((amount.units(), ends[end]));
                }
                let held: i64 = refunds.iter().filter(|(_, status)| status.holds()).map(|(units, _)| units).sum();
                prop_assert!(held <= received);
            }
        }
    }
}
