//! The application as the executable opens it: database, key file, use cases.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use trousseau_service::clock::{Clock, SystemClock};
use trousseau_service::entropy::{Entropy, SystemEntropy};
use trousseau_service::secrets::Secrets;
use trousseau_service::{App, Context};
use trousseau_store::{Address, Store, StoreOptions, Upgrade};

use crate::exit::Failure;
use crate::hardening;
use crate::settings::Settings;

/// Everything opened, and on whose behalf commands act.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) app: App,
    pub(crate) context: Context,
}

impl Opened {
    /// Opens the database, whose schema is brought up to date where that may be, and the key file, which the first start
    /// makes.
    pub(crate) async fn open(settings: &Settings, actor: Option<String>, upgrade: Upgrade) -> Result<Self, Failure> {
        let url = settings.database.expose_secret();
        make_folders(settings)?;
        if let Some(parent) = settings.key_file.parent() {
            make_folder(parent)?;
        }
        let options = StoreOptions { upgrade, ..StoreOptions::default() };
        let store = Store::open(url, &options).await.context("the database cannot be opened")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let opened =
            Secrets::open(store.clone(), settings.key_file.clone(), Arc::clone(&clock), Arc::clone(&entropy)).await;
        let secrets = match opened {
            Ok(secrets) => secrets,
            Err(error) => {
                store.close().await;
                let place = format!("the key file {} cannot be used", settings.key_file.display());
                return Err(Failure::Failed(anyhow::Error::new(error).context(place)));
            }
        };
        let app = App::new(store, secrets, settings.rules.clone(), clock, entropy);
        Ok(Self { app, context: Context::operator(hardening::system_user(), actor) })
    }

    /// Lets the database go.
    pub(crate) async fn close(self) {
        self.app.close().await;
    }
}

/// Makes the folders that the database needs.
pub(crate) fn make_folders(settings: &Settings) -> Result<(), Failure> {
    make_folder(&settings.data_dir)?;
    if let Ok(Address::Sqlite(file)) = trousseau_store::address(settings.database.expose_secret())
        && let Some(parent) = file.parent()
    {
        make_folder(parent)?;
    }
    Ok(())
}

/// Makes a folder that only we can enter; one that is there stays as it is.
fn make_folder(path: &Path) -> Result<(), Failure> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    Ok(made.with_context(|| format!("the folder {} cannot be made", path.display()))?)
}
