//! Movements of money, for whoever keeps the books.

use std::collections::HashMap;

use trousseau_domain::environment::Tenant;
use trousseau_domain::ledger::{LedgerId, Moved};
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::movements::{MovementKind, MovementStatus};
use trousseau_domain::networks::AssetId;
use trousseau_domain::time::Day;
use trousseau_store::{MovementPlace, MovementRow, Span};

use super::SPARE;
use super::engine::Certainty;
use crate::app::Core;
use crate::error::ServiceError;
use crate::keys::Page;

/// One movement, with what it means today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The movement.
    pub row: MovementRow,
    /// How far it is to be relied on.
    pub status: MovementStatus,
    /// What moved (CAIP-19), where that is known.
    pub asset: Option<AssetId>,
    /// How much, where it is an asset that is known and an amount that is counted.
    pub money: Option<Money>,
}

/// Use cases of movements.
#[derive(Debug, Clone, Copy)]
pub struct Movements<'a> {
    core: &'a Core,
}

impl<'a> Movements<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// The time from the beginning of a day to the end of another, which is included, by the clock of the business.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a day that is beyond all calendars.
    pub async fn span(self, tenant: &Tenant, from: Option<Day>, to: Option<Day>) -> Result<Span, ServiceError> {
        let business = self.core.store.read().find_business(&tenant.business).await?.ok_or(ServiceError::NotFound)?;
        let zone = &business.time_zone;
        let beyond = |field: &'static str| move |_| ServiceError::invalid(field, "is beyond the calendar");
        Ok(Span {
            from: from.map(|day| zone.start_of(day)).transpose().map_err(beyond("from"))?,
            before: to.map(|day| zone.end_of(day)).transpose().map_err(beyond("to"))?,
        })
    }

    /// One page of the tenant's movements of a span of time, the oldest first.
    pub async fn list(
        self,
        tenant: &Tenant,
        span: Span,
        after: Option<&MovementPlace>,
        limit: u32,
    ) -> Result<Page<Movement>, ServiceError> {
        let mut reader = self.core.store.read();
        let rows = reader.list_movements(tenant, span, after, limit + 1).await?;
        let page = Page::of(rows, limit);
        let mut certainties: HashMap<LedgerId, Certainty> = HashMap::new();
        let mut data = Vec::with_capacity(page.data.len());
        for row in page.data {
            if !certainties.contains_key(&row.ledger) {
                let cursor = reader.find_cursor(&row.ledger).await?;
                let certainty = Certainty::of(self.core, &row.ledger, cursor.as_ref(), self.core.clock.now());
                certainties.insert(row.ledger.clone(), certainty);
            }
            data.push(self.meant(row, &certainties));
        }
        Ok(Page { data, has_more: page.has_more })
    }

    fn meant(self, row: MovementRow, certainties: &HashMap<LedgerId, Certainty>) -> Movement {
        let counts = row.asset == Moved::Accepted && row.units.is_some();
        let first_open = match (certainties.get(&row.ledger), &row.payment) {
            (Some(certainty), Some((_, due))) => certainty.first_open(*due),
            _ => 0,
        };
        let status = match row.kind {
            MovementKind::Refund | MovementKind::Reversal => MovementStatus::Final,
            MovementKind::Deposit if !row.canonical => MovementStatus::TakenBack,
            MovementKind::Deposit if row.payment.is_some() && counts => {
                if row.block < first_open {
                    MovementStatus::Final
                } else {
                    MovementStatus::Confirming
                }
            }
            MovementKind::Deposit if row.resolved => MovementStatus::Dismissed,
            MovementKind::Deposit => MovementStatus::Unmatched,
        };
        let (asset, currency) = self.moved(&row);
        let money = currency.zip(row.units).and_then(|(asset, units)| Money::from_units(units, asset).ok());
        Movement { row, status, asset, money }
    }

    /// What moved: on a network the token whose contract told of it, on the test ledger the asset by its code.
    fn moved(self, row: &MovementRow) -> (Option<AssetId>, Option<Asset>) {
        let expected = row.payment.map_or(SPARE, |(_, due)| due.asset());
        let expected = (row.asset == Moved::Accepted).then_some(expected);
        let LedgerId::Network(..) = &row.ledger else {
            // A name of the test ledger in the form of CAIP-19: there is no contract to name.
            let named = expected.and_then(|asset| format!("{}/token:{}", row.network, asset.code()).parse().ok());
            return (named, expected);
        };
        let tokens = self.core.networks.on(&row.ledger).map(|network| network.settings.tokens.as_slice());
        let tokens = tokens.unwrap_or_default();
        let contract = row.contract.or_else(|| {
            let token = tokens.iter().find(|token| Some(token.asset) == expected)?;
            Some(token.contract)
        });
        let known = tokens.iter().find(|token| Some(token.contract) == contract).map(|token| token.asset);
        (contract.map(|contract| AssetId::of_erc20(row.network.clone(), contract)), known.or(expected))
    }
}
