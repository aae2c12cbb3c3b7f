//! Accounts of people, and what they are in which business.

use trousseau_domain::actor::Actor;
use trousseau_domain::business::Language;
use trousseau_domain::ids::{AccountId, BusinessId};
use trousseau_domain::logo::LogoDigest;
use trousseau_domain::members::{EmailAddress, Notice, PersonName, Role};
use trousseau_domain::time::Timestamp;

use crate::businesses::{BusinessRow, business_columns};
use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::sessions::digest32;
use crate::stmt::Stmt;
use crate::versions::Sealed;

/// The authenticator app of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpRow {
    /// The shared secret, sealed for this account.
    pub secret: Sealed,
    /// When a first code has shown that the app has it; until then it is no second factor.
    pub confirmed_at: Option<Timestamp>,
    /// The last step whose code was accepted.
    pub last_step: Option<i64>,
}

/// A person's account as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its id.
    pub id: AccountId,
    /// What it is signed in to with.
    pub email: EmailAddress,
    /// What the person is called.
    pub name: PersonName,
    /// The language of its pages and mails.
    pub language: Language,
    /// Whether it sees the platform's pages.
    pub platform_admin: bool,
    /// The password as Argon2id keeps it; none where there are only passkeys.
    pub password_hash: Option<String>,
    /// The authenticator app, if there is one.
    pub totp: Option<TotpRow>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Raised by every change.
    pub revision: i64,
}

/// What somebody is in a business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipRow {
    /// The business.
    pub business: BusinessId,
    /// Whose account.
    pub account: AccountId,
    /// The role.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// Who made it so.
    pub created_by: Actor,
}

/// A member as a list of members shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// What the account is in the business.
    pub membership: MembershipRow,
    /// The account.
    pub account: AccountRow,
    /// When one of its sessions was last seen.
    pub seen_at: Option<Timestamp>,
}

/// A business of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedRow {
    /// The business.
    pub business: BusinessRow,
    /// What the account is there.
    pub role: Role,
    /// The business's logo.
    pub logo: Option<LogoDigest>,
}

macro_rules! account_columns {
    () => {
        "a.id AS a_id, a.email AS a_email, a.name AS a_name, a.language AS a_language, \
         a.platform_admin AS a_platform_admin, a.password_hash AS a_password_hash, a.totp_secret AS a_totp_secret, \
         a.totp_kek_version AS a_totp_kek_version, a.totp_confirmed_at AS a_totp_confirmed_at, \
         a.totp_last_step AS a_totp_last_step, a.created_at AS a_created_at, a.updated_at AS a_updated_at, \
         a.revision AS a_revision"
    };
}
pub(crate) use account_columns;

impl AccountRow {
    pub(crate) fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("accounts", "a_id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let totp = match row.opt_bytes("a_totp_secret")? {
            None => None,
            Some(bytes) => Some(TotpRow {
                secret: Sealed { bytes, kek_version: row.number("a_totp_kek_version")? },
                confirmed_at: row.opt_time("a_totp_confirmed_at")?,
                last_step: row.opt_int("a_totp_last_step")?,
            }),
        };
        Ok(Self {
            id: row.parsed("a_id")?,
            email: row.parsed("a_email")?,
            name: row.parsed("a_name")?,
            language: row.parsed("a_language")?,
            platform_admin: row.int("a_platform_admin")? == 1,
            password_hash: row.opt_text("a_password_hash")?,
            totp,
            created_at: row.time("a_created_at")?,
            updated_at: row.time("a_updated_at")?,
            revision: row.int("a_revision")?,
        })
    }
}

impl MembershipRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("memberships", "m_account_id", |row| {
            Ok(Self {
                business: row.parsed("m_business_id")?,
                account: row.parsed("m_account_id")?,
                role: row.parsed("m_role")?,
                created_at: row.time("m_created_at")?,
                created_by: row.json("m_created_by")?,
            })
        })
    }
}

macro_rules! membership_columns {
    () => {
        "m.business_id AS m_business_id, m.account_id AS m_account_id, m.role AS m_role, \
         m.created_at AS m_created_at, m.created_by AS m_created_by"
    };
}

impl Reader<'_> {
    /// How many accounts there are.
    pub async fn count_accounts(&mut self) -> Result<u64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT COUNT(*) AS total FROM accounts")).await?;
        row.read("accounts", "total", |row| row.number("total"))
    }

    /// The account of this id.
    pub async fn find_account(&mut self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        const SQL: &str = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.id = $1");
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(AccountRow::from_row).transpose()
    }

    /// The account of this address.
    pub async fn find_account_by_email(&mut self, email: &EmailAddress) -> Result<Option<AccountRow>, StoreError> {
        const SQL: &str = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.email = $1");
        self.fetch_optional(Stmt::new(SQL).text(email)).await?.as_ref().map(AccountRow::from_row).transpose()
    }

    /// Everybody who sees the platform's pages, by address.
    pub async fn list_platform_administrators(&mut self) -> Result<Vec<AccountRow>, StoreError> {
        const SQL: &str =
            concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.platform_admin = 1 ORDER BY a.email");
        self.fetch_all(Stmt::new(SQL)).await?.iter().map(AccountRow::from_row).collect()
    }

    /// The businesses of an account with what it is there and their logos, by name.
    pub async fn list_memberships(&mut self, account: AccountId) -> Result<Vec<JoinedRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            business_columns!(),
            ", m.role AS m_role, l.digest AS l_digest FROM memberships m JOIN businesses b ON b.id = m.business_id \
             LEFT JOIN logos l ON l.business_id = b.id WHERE m.account_id = $1 ORDER BY b.name, b.id"
        );
        let rows = self.fetch_all(Stmt::new(SQL).text(account)).await?;
        rows.iter()
            .map(|row| {
                let business = BusinessRow::from_row(row)?;
                row.read("memberships", "b_id", |row| {
                    let has_logo = row.opt_bytes("l_digest")?.is_some();
                    let logo = has_logo.then(|| digest32(row, "l_digest")).transpose()?;
                    Ok(JoinedRow { business, role: row.parsed("m_role")?, logo: logo.map(LogoDigest::from_sha256) })
                })
            })
            .collect()
    }

    /// What an account is in a business.
    pub async fn find_role(&mut self, business: &BusinessId, account: AccountId) -> Result<Option<Role>, StoreError> {
        const SQL: &str = "SELECT m.role AS m_role FROM memberships m WHERE m.business_id = $1 AND m.account_id = $2";
        let row = self.fetch_optional(Stmt::new(SQL).text(business).text(account)).await?;
        row.map(|row| row.read("memberships", "m_role", |row| row.parsed("m_role"))).transpose()
    }

    /// The members of a business, by address.
    pub async fn list_members(&mut self, business: &BusinessId) -> Result<Vec<MemberRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            account_columns!(),
            ", ",
            membership_columns!(),
            ", (SELECT MAX(s.seen_at) FROM sessions s WHERE s.account_id = a.id) AS seen_at \
             FROM memberships m JOIN accounts a ON a.id = m.account_id WHERE m.business_id = $1 ORDER BY a.email"
        );
        let rows = self.fetch_all(Stmt::new(SQL).text(business)).await?;
        rows.iter()
            .map(|row| {
                Ok(MemberRow {
                    membership: MembershipRow::from_row(row)?,
                    account: AccountRow::from_row(row)?,
                    seen_at: row.read("memberships", "a_id", |row| row.opt_time("seen_at"))?,
                })
            })
            .collect()
    }

    /// How many members of a business have a role; any role if none is named.
    pub async fn count_members(&mut self, business: &BusinessId, role: Option<Role>) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS total FROM memberships m \
                           WHERE m.business_id = $1 AND (CAST($2 AS TEXT) IS NULL OR m.role = $2)";
        let row = self.fetch_one(Stmt::new(SQL).text(business).opt_text(role)).await?;
        row.read("memberships", "total", |row| row.number("total"))
    }

    /// The oldest business that nobody is a member of or invited to.
    pub async fn find_business_without_members(&mut self, now: Timestamp) -> Result<Option<BusinessRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            business_columns!(),
            " FROM businesses b WHERE NOT EXISTS (SELECT 1 FROM memberships m WHERE m.business_id = b.id) \
             AND NOT EXISTS (SELECT 1 FROM invitations i WHERE i.business_id = b.id AND i.accepted_at IS NULL \
             AND i.revoked_at IS NULL AND i.expires_at > $1) ORDER BY b.created_at, b.id LIMIT 1"
        );
        self.fetch_optional(Stmt::new(SQL).time(now)).await?.as_ref().map(BusinessRow::from_row).transpose()
    }

    /// What a member has chosen about notices; what is not here is as it is by default.
    pub async fn list_notice_settings(
        &mut self,
        business: &BusinessId,
        account: AccountId,
    ) -> Result<Vec<(Notice, bool)>, StoreError> {
        const SQL: &str = "SELECT n.notice AS n_notice, n.wanted AS n_wanted FROM notice_settings n \
                           WHERE n.business_id = $1 AND n.account_id = $2 ORDER BY n.notice";
        let rows = self.fetch_all(Stmt::new(SQL).text(business).text(account)).await?;
        rows.iter()
            .map(|row| {
                row.read("notice_settings", "n_notice", |row| Ok((row.parsed("n_notice")?, row.int("n_wanted")? == 1)))
            })
            .collect()
    }
}

impl Tx {
    /// Adds an account.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where somebody has the address.
    pub async fn insert_account(&mut self, account: &AccountRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO accounts (id, email, name, language, platform_admin, password_hash, \
                           totp_secret, totp_kek_version, totp_confirmed_at, totp_last_step, created_at, updated_at, \
                           revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        let totp = account.totp.as_ref();
        self.execute(
            Stmt::new(SQL)
                .text(account.id)
                .text(&account.email)
                .text(&account.name)
                .text(account.language)
                .int(i64::from(account.platform_admin))
                .opt_text(account.password_hash.as_ref())
                .opt_bytes(totp.map(|totp| totp.secret.bytes.clone()))
                .opt_int(totp.map(|totp| i64::from(totp.secret.kek_version)))
                .opt_time(totp.and_then(|totp| totp.confirmed_at))
                .opt_int(totp.and_then(|totp| totp.last_step))
                .time(account.created_at)
                .time(account.updated_at)
                .int(account.revision),
        )
        .await?;
        Ok(())
    }

    /// Takes the account for this transaction: others that want to change it wait. Returns it.
    pub async fn lock_account(&mut self, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
        const SQL: &str = "UPDATE accounts SET revision = revision + 1 WHERE id = $1 \
                           RETURNING id AS a_id, email AS a_email, name AS a_name, language AS a_language, \
                           platform_admin AS a_platform_admin, password_hash AS a_password_hash, \
                           totp_secret AS a_totp_secret, totp_kek_version AS a_totp_kek_version, \
                           totp_confirmed_at AS a_totp_confirmed_at, totp_last_step AS a_totp_last_step, \
                           created_at AS a_created_at, updated_at AS a_updated_at, revision AS a_revision";
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(AccountRow::from_row).transpose()
    }

    /// Saves everything but id, address and the time of creation, if the account is still at `account.revision`.
    pub async fn update_account(&mut self, account: &AccountRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE accounts SET name = $3, language = $4, platform_admin = $5, password_hash = $6, \
                           totp_secret = $7, totp_kek_version = $8, totp_confirmed_at = $9, totp_last_step = $10, \
                           updated_at = $11 WHERE id = $1 AND revision = $2";
        let totp = account.totp.as_ref();
        self.change_one(
            Stmt::new(SQL)
                .text(account.id)
                .int(account.revision)
                .text(&account.name)
                .text(account.language)
                .int(i64::from(account.platform_admin))
                .opt_text(account.password_hash.as_ref())
                .opt_bytes(totp.map(|totp| totp.secret.bytes.clone()))
                .opt_int(totp.map(|totp| i64::from(totp.secret.kek_version)))
                .opt_time(totp.and_then(|totp| totp.confirmed_at))
                .opt_int(totp.and_then(|totp| totp.last_step))
                .time(account.updated_at),
        )
        .await
    }

    /// Notes that the code of a step was used; `false` if that step, or a later one, was used already.
    pub async fn use_totp_step(&mut self, id: AccountId, step: i64) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE accounts SET totp_last_step = $2 WHERE id = $1 AND totp_secret IS NOT NULL \
                           AND (totp_last_step IS NULL OR totp_last_step < $2)";
        self.change_one(Stmt::new(SQL).text(id).int(step)).await
    }

    /// Adds a member to a business; `false` if the account is one already.
    pub async fn insert_membership(&mut self, membership: &MembershipRow) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO memberships (business_id, account_id, role, created_at, created_by) \
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (business_id, account_id) DO NOTHING";
        self.change_one(
            Stmt::new(SQL)
                .text(&membership.business)
                .text(membership.account)
                .text(membership.role)
                .time(membership.created_at)
                .json(&membership.created_by),
        )
        .await
    }

    /// Gives a member another role, if it still has `from`.
    pub async fn set_role(
        &mut self,
        business: &BusinessId,
        account: AccountId,
        from: Role,
        to: Role,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE memberships SET role = $4 WHERE business_id = $1 AND account_id = $2 AND role = $3";
        self.change_one(Stmt::new(SQL).text(business).text(account).text(from).text(to)).await
    }

    /// Takes a member out of a business, with what it had chosen there.
    pub async fn delete_membership(&mut self, business: &BusinessId, account: AccountId) -> Result<bool, StoreError> {
        const NOTICES: &str = "DELETE FROM notice_settings WHERE business_id = $1 AND account_id = $2";
        const MEMBER: &str = "DELETE FROM memberships WHERE business_id = $1 AND account_id = $2";
        self.execute(Stmt::new(NOTICES).text(business).text(account)).await?;
        self.change_one(Stmt::new(MEMBER).text(business).text(account)).await
    }

    /// Keeps what a member has chosen about a notice.
    pub async fn set_notice(
        &mut self,
        business: &BusinessId,
        account: AccountId,
        notice: Notice,
        wanted: bool,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO notice_settings (business_id, account_id, notice, wanted) \
                           VALUES ($1, $2, $3, $4) ON CONFLICT (business_id, account_id, notice) \
                           DO UPDATE SET wanted = excluded.wanted";
        self.execute(Stmt::new(SQL).text(business).text(account).text(notice).int(i64::from(wanted))).await?;
        Ok(())
    }
}
