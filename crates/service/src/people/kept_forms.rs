//! Forms that are sent too long after the last proof of who sits there: kept until there is one, so that nothing typed
//! is lost.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trousseau_store::{KeptFormRow, SealedPlace};
use zeroize::Zeroizing;

use super::{OneTimeToken, People, SignedIn};
use crate::error::ServiceError;
use crate::key_ring::Cell;

/// How long a form is kept: as long as a proof is recent, which is time enough to give one.
const KEEP_FOR: Duration = super::STEP_UP_WITHIN;
/// The most forms that are kept of one session at a time.
const MOST: u64 = 20;

fn id_of(token: &OneTimeToken) -> String {
    URL_SAFE_NO_PAD.encode(token.digest())
}

impl People<'_> {
    /// Keeps what a person sent to `page`, sealed, and gives what brings it back: once, to the same session and page.
    /// `None` where too much is kept of the session already.
    pub async fn keep_form(
        self,
        person: &SignedIn,
        page: &str,
        fields: &str,
    ) -> Result<Option<OneTimeToken>, ServiceError> {
        let token = OneTimeToken::generate(self.core.entropy.as_ref());
        let id = id_of(&token);
        let mut tx = self.core.store.begin().await?;
        let now = self.core.clock.now();
        if tx.read().count_kept_forms(person.session.id, now).await? >= MOST {
            tx.settle().await?;
            return Ok(None);
        }
        let cell = Cell::of(SealedPlace::KeptForm, &id);
        let sealed = self.core.secrets.ring().get().seal(fields.as_bytes(), &cell, self.core.entropy.as_ref());
        let row = KeptFormRow {
            session: person.session.id,
            page: page.to_owned(),
            sealed,
            created_at: now,
            expires_at: now.saturating_add(KEEP_FOR),
            id,
        };
        tx.insert_kept_form(&row).await?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// What was kept under a token of this session for `page`. Asked for again it is gone.
    pub async fn take_form(
        self,
        person: &SignedIn,
        page: &str,
        token: &OneTimeToken,
    ) -> Result<Option<Zeroizing<String>>, ServiceError> {
        let id = id_of(token);
        let mut tx = self.core.store.begin().await?;
        let sealed = tx.take_kept_form(&id, person.session.id, page, self.core.clock.now()).await?;
        tx.commit().await?;
        let Some(sealed) = sealed else { return Ok(None) };
        let plain = self.core.secrets.ring().get().open(&sealed, &Cell::of(SealedPlace::KeptForm, &id))?;
        Ok(std::str::from_utf8(&plain).ok().map(|text| Zeroizing::new(text.to_owned())))
    }
}
