//! What people and keys are called where many of them are spoken of: in lists, histories and files.

use std::collections::HashMap;

use trousseau_domain::actor::Actor;
use trousseau_domain::ids::{AccountId, KeyId};
use trousseau_domain::members::Operation;
use trousseau_service::people::AccountView;
use trousseau_service::{KeyNameRow, ServiceError};

use super::frame::Sub;
use super::session::Entered;
use super::text::Texts;
use crate::router::Web;

/// What the keys of a business and environment are called.
#[derive(Debug)]
pub(crate) struct KeyNames {
    by_id: HashMap<KeyId, KeyNameRow>,
    pages: String,
    t: Texts,
}

/// A key as a list names it.
#[derive(Debug, Clone)]
pub(crate) struct KeyLink {
    /// Its number, with the sign for one.
    pub(crate) number: String,
    /// The name that somebody gave it.
    pub(crate) name: Option<String>,
    /// Its page.
    pub(crate) href: String,
}

impl KeyNames {
    /// Those of the reader's business and environment.
    pub(crate) async fn of<P>(web: &Web, entered: &Entered<P>) -> Result<Self, ServiceError> {
        let rows = web.app.keys().names(&entered.tenant).await?;
        let (business, environment) = (&entered.tenant.business, entered.tenant.environment);
        Ok(Self {
            by_id: rows.into_iter().map(|row| (row.id, row)).collect(),
            pages: format!("/b/{business}/{environment}{}", Sub::ApiKeys.path()),
            t: entered.frame.t,
        })
    }

    /// The number of a key.
    pub(crate) fn number(&self, id: KeyId) -> Option<u32> {
        self.by_id.get(&id).map(|row| row.number)
    }

    /// The key that has a number.
    pub(crate) fn numbered(&self, number: u32) -> Option<KeyId> {
        self.by_id.values().find(|row| row.number == number).map(|row| row.id)
    }

    /// A key with the way to its page.
    pub(crate) fn link(&self, id: KeyId) -> Option<KeyLink> {
        let row = self.by_id.get(&id)?;
        Some(KeyLink {
            number: self.t.with("number-sign", [("number", row.number.to_string())]),
            name: row.name.as_ref().map(ToString::to_string),
            href: format!("{}/{}", self.pages, row.number),
        })
    }
}

/// Who did things: keys by their numbers, members by their names where the reader may see members.
#[derive(Debug)]
pub(crate) struct Actors {
    reader: AccountId,
    people: HashMap<AccountId, Member>,
    t: Texts,
}

/// A member whom the reader may know.
#[derive(Debug)]
struct Member {
    name: String,
    email: String,
}

impl From<AccountView> for Member {
    fn from(account: AccountView) -> Self {
        Self { name: account.name.to_string(), email: account.email.to_string() }
    }
}

/// Somebody or something that did something.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// What it is called.
    pub(crate) text: String,
    /// Whether that is a name, which is not translated.
    pub(crate) named: bool,
}

impl Actors {
    /// Those whom the reader may know.
    pub(crate) async fn of<P>(web: &Web, entered: &Entered<P>) -> Result<Self, ServiceError> {
        let members = if entered.role.may(Operation::MembersRead) {
            web.app.people().members(&entered.tenant.business).await?
        } else {
            Vec::new()
        };
        // Whoever reads knows themselves.
        let known = members.into_iter().map(|member| member.account).chain([entered.person.account.clone()]);
        Ok(Self {
            reader: entered.person.account.id,
            people: known.map(|account| (account.id, account.into())).collect(),
            t: entered.frame.t,
        })
    }

    /// The name of a member.
    pub(crate) fn person(&self, id: AccountId) -> Who {
        match self.people.get(&id) {
            _ if id == self.reader => Who { text: self.t.get("who-you"), named: false },
            Some(member) => Who { text: member.name.clone(), named: true },
            None => Who { text: self.t.get("who-no-member"), named: false },
        }
    }

    /// Who acted, in a file that is read by others and elsewhere: members by name and address, all else by words that are
    /// the same for every reader.
    pub(crate) fn in_file(&self, actor: &Actor, keys: &KeyNames) -> String {
        match actor {
            Actor::Member { id } => match self.people.get(id) {
                Some(member) => format!("{} <{}>", member.name, member.email),
                None => format!("member {id}"),
            },
            Actor::Key { id, .. } => match keys.number(*id) {
                Some(number) => format!("key {number}"),
                None => format!("key {id}"),
            },
            Actor::PlatformKey { .. } => "platform key".to_owned(),
            Actor::Operator { .. } => "operator".to_owned(),
            Actor::Payer => "payer".to_owned(),
            Actor::System => "system".to_owned(),
        }
    }

    /// Who acted.
    pub(crate) fn who(&self, actor: &Actor, keys: &KeyNames) -> Who {
        let t = self.t;
        let text = match actor {
            Actor::Member { id } => return self.person(*id),
            Actor::Key { id, .. } => match keys.number(*id) {
                Some(number) => t.with("key-number", [("number", number.to_string())]),
                None => t.get("who-another-key"),
            },
            Actor::PlatformKey { .. } => t.get("who-platform"),
            Actor::Operator { .. } => t.get("who-operator"),
            Actor::Payer => t.get("who-payer"),
            Actor::System => t.get("who-system"),
        };
        Who { text, named: false }
    }
}
