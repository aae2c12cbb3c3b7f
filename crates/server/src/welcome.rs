//! What a first start says: a business, its keys, and a call that works when pasted.

use std::fmt::Write as _;
use std::time::Duration;

use secrecy::zeroize::{Zeroize as _, Zeroizing};
use trousseau_domain::business::Language;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::text::BusinessName;
use trousseau_service::businesses::{BusinessDraft, CreatedBusiness};
use trousseau_service::keys::KeyQuery;
use trousseau_service::{Context, ServiceError};
use trousseau_store::{BusinessRow, KeyFilter, KeyOrder};

use crate::app::Opened;
use crate::commands::business::{key_lines, unseen};
use crate::commands::done;
use crate::exit::Failure;
use crate::output::{print, print_once};

/// Between two attempts to welcome.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Rows fetched at a time.
const PAGE: u32 = 100;

/// Welcomes as soon as that can be done. A server that answers goes on answering while its database or its clock is in
/// the way.
///
/// # Errors
/// Only where the name is none for a business.
pub(crate) async fn welcome(opened: &Opened, name: Option<&str>) -> Result<(), Failure> {
    let mut told = false;
    loop {
        match welcome_now(opened, name).await {
            Err(Failure::Refused(error) | Failure::Failed(error)) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(error = &*error as &dyn std::error::Error, "nothing is made for a first start yet");
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            ended => return ended,
        }
    }
}

/// Prints what the person at the machine needs next: with a name, the first business, made where there is none, and a
/// call that works; as long as nobody has an account, the link that makes the first one.
async fn welcome_now(opened: &Opened, name: Option<&str>) -> Result<(), Failure> {
    let url = opened.app.address().as_str();
    let mut text = Zeroizing::new(String::new());
    if let Some(name) = name {
        first_business(opened, name, url, &mut text).await?;
    }
    if let Some(token) = opened.app.people().first_run_link(&opened.context).await? {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("Nobody has an account yet. Open this link within 30 minutes to make the first one:\n\n  ");
        for part in [url, "/welcome/", token.expose(), "\n"] {
            text.push_str(part);
        }
    } else if name.is_some() {
        let _ = write!(text, "\nSign in at {url}/sign-in\n");
    }
    if !text.is_empty() {
        print(&text)?;
    }
    Ok(())
}

async fn first_business(opened: &Opened, name: &str, url: &str, text: &mut Zeroizing<String>) -> Result<(), Failure> {
    let name: BusinessName = name.parse().map_err(|error| Failure::usage(format!("--welcome {name}: {error}")))?;
    let business = if opened.app.businesses().count().await? == 0 {
        let created = create(opened, &opened.context, name).await?;
        head(text, url, &created.business);
        text.push_str("Keys (the LIVE secret key is shown now and never again)\n");
        text.push_str(&key_lines(&created));
        text.push('\n');
        // At once: whatever fails after this, they are never shown again.
        print_once(text, || unseen(&created))?;
        text.zeroize();
        created.business
    } else {
        let business = oldest(opened, &name).await?;
        head(text, url, &business);
        business
    };
    if let Some(line) = call(opened, &business, url).await? {
        text.push_str("Try it in another terminal:\n\n  ");
        text.push_str(&line);
    } else {
        text.push_str("No TEST secret key of this business can be shown. Make one:\n\n");
        let _ = write!(text, "  trousseau key create --business {} --environment test", business.id);
    }
    text.push('\n');
    Ok(())
}

fn head(text: &mut String, url: &str, business: &BusinessRow) {
    let _ = write!(text, "Trousseau is ready at {url}\n\nBusiness  {}\nId        {}\n\n", business.name, business.id);
}

async fn create(opened: &Opened, context: &Context, name: BusinessName) -> Result<CreatedBusiness, Failure> {
    let draft = BusinessDraft {
        name,
        id: None,
        profile: None,
        time_zone: None,
        language: Language::English,
        metadata: Metadata::default(),
        invite: None,
    };
    Ok(done(opened.app.businesses().create(context, &draft, None).await?))
}

/// The oldest business of this name, else the oldest of all.
async fn oldest(opened: &Opened, name: &BusinessName) -> Result<BusinessRow, Failure> {
    let mut best: Option<BusinessRow> = None;
    let mut after = None;
    loop {
        let page = opened.app.businesses().list(after.as_ref(), PAGE).await?;
        after = page.data.last().map(|row| row.id.clone());
        for row in page.data {
            let rank = |row: &BusinessRow| (row.name != *name, row.created_at);
            if best.as_ref().is_none_or(|best| rank(&row) < rank(best)) {
                best = Some(row);
            }
        }
        if !page.has_more {
            return best.ok_or_else(|| Failure::from(ServiceError::NotFound));
        }
    }
}

/// The line to paste, with the oldest TEST secret key in force whose value may be read.
async fn call(opened: &Opened, business: &BusinessRow, url: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(profile) = opened.app.settings().profile(&business.profile) else { return Ok(None) };
    if !profile.value_readable(Environment::Test, KeyKind::Secret) || !profile.environments.offers(Environment::Test) {
        return Ok(None);
    }
    let tenant = Tenant::new(business.id.clone(), Environment::Test);
    let filter = KeyFilter { kind: Some(KeyKind::Secret), status: Some(KeyStatus::Active), ..KeyFilter::default() };
    let query = KeyQuery { filter, order: KeyOrder::NumberAsc, after: None, limit: 1 };
    let page = opened.app.keys().list(&tenant, &query).await?;
    let Some(view) = page.data.first() else { return Ok(None) };
    let issued = match opened.app.keys().reveal(&opened.context, &tenant, view.key.id, None).await {
        Ok(issued) => done(issued),
        // Imported as a digest: there is no value to show.
        Err(ServiceError::ValueNotReadable) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let key = issued.value.expose();
    Ok(Some(Zeroizing::new(if profile.business_id_required {
        format!("curl -s {url}/v1/whoami -H \"apikey: {key}\" -H \"businessid: {}\"", business.id)
    } else {
        format!("curl -s {url}/v1/whoami -u \"{key}:\"")
    })))
}
