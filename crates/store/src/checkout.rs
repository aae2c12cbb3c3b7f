//! How businesses take payments.

use trousseau_domain::actor::Actor;
use trousseau_domain::checkout::{CheckoutSettings, Tolerance};
use trousseau_domain::environment::Tenant;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

fn from_columns(row: &Row) -> Result<CheckoutSettings, BadColumn> {
    let tolerance =
        Tolerance::new(row.money("tolerance_amount", "tolerance_asset")?, row.number("tolerance_per_mille")?);
    Ok(CheckoutSettings {
        accent: row.opt_parsed("accent")?,
        languages: row.parsed("languages")?,
        redirect_url: row.opt_parsed("redirect_url")?,
        origins: row.json("origins")?,
        tolerance: tolerance.map_err(|source| BadColumn { column: "tolerance_per_mille", source: source.into() })?,
        accepts_late: row.flag("accepts_late")?,
    })
}

impl Reader<'_> {
    /// How a tenant takes payments; the settings of whoever chose nothing where it chose nothing.
    pub async fn find_checkout_settings(&mut self, tenant: &Tenant) -> Result<CheckoutSettings, StoreError> {
        const SQL: &str = "SELECT c.business_id, c.accent, c.languages, c.redirect_url, c.origins, \
                           c.tolerance_amount, c.tolerance_asset, c.tolerance_per_mille, c.accepts_late \
                           FROM checkout_settings c WHERE c.business_id = $1 AND c.environment = $2";
        let row = self.fetch_optional(Stmt::new(SQL).text(&tenant.business).text(tenant.environment)).await?;
        let found = row.map(|row| row.read("checkout_settings", "business_id", from_columns)).transpose()?;
        Ok(found.unwrap_or_default())
    }
}

impl Tx {
    /// Has a tenant take payments like this.
    pub async fn put_checkout_settings(
        &mut self,
        tenant: &Tenant,
        settings: &CheckoutSettings,
        at: Timestamp,
        by: &Actor,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO checkout_settings (business_id, environment, accent, languages, redirect_url, \
                           origins, tolerance_amount, tolerance_asset, tolerance_per_mille, accepts_late, \
                           updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                           ON CONFLICT (business_id, environment) DO UPDATE SET accent = excluded.accent, \
                           languages = excluded.languages, redirect_url = excluded.redirect_url, \
                           origins = excluded.origins, tolerance_amount = excluded.tolerance_amount, \
                           tolerance_asset = excluded.tolerance_asset, \
                           tolerance_per_mille = excluded.tolerance_per_mille, \
                           accepts_late = excluded.accepts_late, updated_at = excluded.updated_at, \
                           updated_by = excluded.updated_by";
        let amount = settings.tolerance.amount();
        self.execute(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .opt_text(settings.accent)
                .text(settings.languages)
                .opt_text(settings.redirect_url.as_ref())
                .json(&settings.origins)
                .int(amount.units())
                .text(amount.asset())
                .int(i64::from(settings.tolerance.per_mille()))
                .int(i64::from(settings.accepts_late))
                .time(at)
                .json(by),
        )
        .await?;
        Ok(())
    }
}
