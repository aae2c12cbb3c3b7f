//! Forms that wait until whoever sent them has proved who they are.

use trousseau_domain::ids::SessionId;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::stmt::Stmt;
use crate::versions::Sealed;

/// A form that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFormRow {
    /// SHA-256, in base64url, of what the browser brings back.
    pub id: String,
    /// The session that sent it.
    pub session: SessionId,
    /// The page that shows it.
    pub page: String,
    /// Its fields.
    pub sealed: Sealed,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

impl Reader<'_> {
    /// How many forms of a session wait at `now`.
    pub async fn count_kept_forms(&mut self, session: SessionId, now: Timestamp) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS total FROM kept_forms WHERE session_id = $1 AND expires_at > $2";
        let row = self.fetch_one(Stmt::new(SQL).text(session).time(now)).await?;
        row.read("kept_forms", "total", |row| row.number("total"))
    }
}

impl Tx {
    /// Keeps a form.
    pub async fn insert_kept_form(&mut self, form: &KeptFormRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO kept_forms (id, session_id, page, sealed, kek_version, created_at, expires_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.execute(
            Stmt::new(SQL)
                .text(&form.id)
                .text(form.session)
                .text(&form.page)
                .bytes(form.sealed.bytes.as_slice())
                .int(i64::from(form.sealed.kek_version))
                .time(form.created_at)
                .time(form.expires_at),
        )
        .await?;
        Ok(())
    }

    /// Takes a form of this session and page: it is there once. `None` if it has ended, too.
    pub async fn take_kept_form(
        &mut self,
        id: &str,
        session: SessionId,
        page: &str,
        now: Timestamp,
    ) -> Result<Option<Sealed>, StoreError> {
        const SQL: &str = "DELETE FROM kept_forms WHERE id = $1 AND session_id = $2 AND page = $3 AND expires_at > $4 \
                           RETURNING id, sealed, kek_version";
        let row = self.fetch_optional(Stmt::new(SQL).text(id).text(session).text(page).time(now)).await?;
        row.map(|row| {
            row.read("kept_forms", "id", |row| {
                Ok(Sealed { bytes: row.bytes("sealed")?, kek_version: row.number("kek_version")? })
            })
        })
        .transpose()
    }
}
