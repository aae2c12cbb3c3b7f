//! Invitations to a business, or to the platform.

use trousseau_domain::actor::Actor;
use trousseau_domain::ids::{AccountId, BusinessId, InvitationId};
use trousseau_domain::members::{EmailAddress, Role};
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::sessions::digest32;
use crate::stmt::Stmt;

/// To what somebody is invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitedTo {
    /// A business, in a role.
    Business {
        /// Which one.
        id: BusinessId,
        /// As what.
        role: Role,
    },
    /// The platform, as one of its administrators.
    Platform,
}

/// An invitation as it is stored: its link is in a mail only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// Its id.
    pub id: InvitationId,
    /// SHA-256 of its link's secret.
    pub digest: [u8; 32],
    /// To what.
    pub to: InvitedTo,
    /// Who is invited.
    pub email: EmailAddress,
    /// When.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// When it ends.
    pub expires_at: Timestamp,
}

macro_rules! select_invitation {
    ($rest:literal) => {
        concat!(
            "SELECT i.id AS i_id, i.digest AS i_digest, i.business_id AS i_business_id, i.role AS i_role, \
             i.email AS i_email, i.created_at AS i_created_at, i.created_by AS i_created_by, \
             i.expires_at AS i_expires_at FROM invitations i \
             WHERE i.accepted_at IS NULL AND i.revoked_at IS NULL AND ",
            $rest
        )
    };
}

impl InvitationRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("invitations", "i_id", |row| {
            Ok(Self {
                id: row.parsed("i_id")?,
                digest: digest32(row, "i_digest")?,
                to: match row.opt_parsed("i_business_id")? {
                    Some(id) => InvitedTo::Business { id, role: row.parsed("i_role")? },
                    None => InvitedTo::Platform,
                },
                email: row.parsed("i_email")?,
                created_at: row.time("i_created_at")?,
                created_by: row.json("i_created_by")?,
                expires_at: row.time("i_expires_at")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The open invitation of this link.
    pub async fn find_invitation(
        &mut self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<InvitationRow>, StoreError> {
        const SQL: &str = select_invitation!("i.digest = $1 AND i.expires_at > $2");
        let row = self.fetch_optional(Stmt::new(SQL).bytes(digest.as_slice()).time(now)).await?;
        row.as_ref().map(InvitationRow::from_row).transpose()
    }

    /// The invitations to a business that nobody has answered, the newest first; those that have ended too.
    pub async fn list_invitations(&mut self, business: &BusinessId) -> Result<Vec<InvitationRow>, StoreError> {
        const SQL: &str = select_invitation!("i.business_id = $1 ORDER BY i.created_at DESC, i.id DESC");
        self.fetch_all(Stmt::new(SQL).text(business)).await?.iter().map(InvitationRow::from_row).collect()
    }
}

impl Tx {
    /// Adds an invitation, and takes back an earlier one of the same address to the same place.
    pub async fn insert_invitation(&mut self, invitation: &InvitationRow) -> Result<(), StoreError> {
        const EARLIER: &str = "UPDATE invitations SET revoked_at = $3 WHERE email = $1 \
                               AND (business_id = $2 OR (business_id IS NULL AND CAST($2 AS TEXT) IS NULL)) \
                               AND accepted_at IS NULL AND revoked_at IS NULL";
        const SQL: &str = "INSERT INTO invitations (id, digest, business_id, role, email, created_at, created_by, \
                           expires_at, accepted_at, accepted_by, revoked_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL, NULL)";
        let (business, role) = match &invitation.to {
            InvitedTo::Business { id, role } => (Some(id), Some(*role)),
            InvitedTo::Platform => (None, None),
        };
        self.execute(Stmt::new(EARLIER).text(&invitation.email).opt_text(business).time(invitation.created_at)).await?;
        self.execute(
            Stmt::new(SQL)
                .text(invitation.id)
                .bytes(invitation.digest.as_slice())
                .opt_text(business)
                .opt_text(role)
                .text(&invitation.email)
                .time(invitation.created_at)
                .json(&invitation.created_by)
                .time(invitation.expires_at),
        )
        .await?;
        Ok(())
    }

    /// Notes who accepted an open invitation; `false` if it is not open any more.
    pub async fn accept_invitation(
        &mut self,
        id: InvitationId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE invitations SET accepted_at = $3, accepted_by = $2 WHERE id = $1 \
                           AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $3";
        self.change_one(Stmt::new(SQL).text(id).text(account).time(now)).await
    }

    /// Takes back an open invitation to a business.
    pub async fn revoke_invitation(
        &mut self,
        business: &BusinessId,
        id: InvitationId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE invitations SET revoked_at = $3 WHERE business_id = $1 AND id = $2 \
                           AND accepted_at IS NULL AND revoked_at IS NULL";
        self.change_one(Stmt::new(SQL).text(business).text(id).time(now)).await
    }
}
