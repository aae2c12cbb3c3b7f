//! `trousseau backup` and `trousseau restore`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{self, Path, PathBuf};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use serde_json::json;
use trousseau_service::Context;
use trousseau_service::backup::{self, BackupError, Restored};
use trousseau_service::clock::{Clock as _, SystemClock};
use trousseau_service::entropy::SystemEntropy;
use trousseau_service::key_ring::{KeyFile, KeyFileError};
use trousseau_store::{Address, Children, RestoreError, Store, StoreOptions};

use crate::app::make_folders;
use crate::exit::Failure;
use crate::hardening;
use crate::output::{print, print_json, say};
use crate::settings::Settings;

/// How often a file is looked at again that others make and remove meanwhile.
const ATTEMPTS: usize = 10;

/// Writes a backup. The name is taken once the file is complete and on the disk, and never from another file.
pub(crate) async fn take(settings: &Settings, file: &Path, json: bool) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::refused(format!("there is a file {} already", file.display())));
    }
    let url = settings.database.expose_secret();
    let store = backup::open(url).await.with_context(|| format!("{} cannot be opened", named(url)))?;
    let partial = PathBuf::from(format!("{}.partial", file.display()));
    let written = match claim(&partial, file) {
        Ok(out) => write(&store, out, &partial, file).await,
        Err(failure) => Err(failure),
    };
    store.close().await;
    let taken = written?;
    if !taken.left_out.is_empty() {
        say(&format!("left out, not a table of Trousseau: {}\n", taken.left_out.join(", ")));
    }
    if json {
        return print_json(&json!({
            "file": file, "taken_at": taken.head.taken_at, "schema": taken.head.schema, "tables": taken.tables,
            "rows": taken.rows,
        }));
    }
    print(&format!("{} rows of {} tables are in {}", taken.rows, taken.tables, file.display()))?;
    let key_file = settings.key_file.display();
    print(&format!("The key file {key_file} is not in it: without a copy of that, kept apart, it is of no use."))
}

/// How a database is named to people: by its file. The address of a server may hold a password.
fn named(url: &str) -> String {
    let Ok(Address::Sqlite(file)) = trousseau_store::address(url) else {
        return "the database".to_owned();
    };
    // A folder that was not meant shows in the whole path.
    let file = path::absolute(file).unwrap_or_else(|_| file.to_owned());
    format!("the database {}", file.display())
}

/// Makes the file that a backup is written into, and holds a lock on it. One that is there and that nobody holds was
/// left by a backup that was killed: another file takes its place.
fn claim(partial: &Path, file: &Path) -> Result<File, Failure> {
    let running = || Failure::refused(format!("another backup to {} is running", file.display()));
    for _ in 0..ATTEMPTS {
        match try_claim(partial) {
            Ok(Some(out)) => return Ok(out),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(running()),
            Err(error) => {
                let cannot = format!("{} cannot be written", partial.display());
                return Err(anyhow::Error::new(error).context(cannot).into());
            }
        }
    }
    Err(running())
}

/// One attempt: none where somebody else was quicker, or where the name is free only now.
fn try_claim(partial: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial) {
        Ok(out) => {
            lock(&out)?;
            // Until it was locked it could be taken for one that was left, and removed.
            Ok(lies_at(&out, partial).then_some(out))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match remove_left(partial) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            removed => removed.map(|()| None),
        },
        Err(error) => Err(error),
    }
}

/// Removes a file that nobody holds. It is never written to: a backup that was killed at its very end has given it its
/// last name already, and then its content is that of a whole one.
fn remove_left(partial: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(partial)?.is_file() {
        return Err(io::Error::other("something else than a file is there"));
    }
    let left = OpenOptions::new().write(true).open(partial)?;
    lock(&left)?;
    // Whoever held it until now may have removed it, and the name be another file's.
    if lies_at(&left, partial) { fs::remove_file(partial) } else { Ok(()) }
}

/// Takes the lock that ends with the file's last handle, and so with its process.
fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => ErrorKind::WouldBlock.into(),
    })
}

/// Whether the name stands for this very file.
fn lies_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

async fn write(store: &Store, out: File, partial: &Path, file: &Path) -> Result<backup::Taken, Failure> {
    let written = write_to(store, &out, partial, file).await;
    if written.is_err() && lies_at(&out, partial) {
        let _ = fs::remove_file(partial);
    }
    // Only now may the name be another one's.
    drop(out);
    written
}

async fn write_to(store: &Store, mut out: &File, partial: &Path, file: &Path) -> Result<backup::Taken, Failure> {
    let cannot = || format!("{} cannot be written", partial.display());
    let taken = backup::take(store, SystemClock.now(), out).await.map_err(|error| failed(error, cannot))?;
    out.flush().and_then(|()| out.sync_all()).with_context(cannot)?;
    // A link never takes the place of a file that came meanwhile.
    fs::hard_link(partial, file).with_context(|| format!("{} cannot be made", file.display()))?;
    fs::remove_file(partial).with_context(cannot)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("{} cannot be written", folder.display()))?;
    Ok(taken)
}

/// Fills an empty database.
pub(crate) async fn restore(
    settings: &Settings,
    file: &Path,
    skip_children: Option<u32>,
    actor: Option<String>,
    json: bool,
) -> Result<(), Failure> {
    let source = File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
    make_folders(settings)?;
    let children = skip_children.map_or(Children::Close, Children::Skip);
    let url = settings.database.expose_secret();
    let context = Context::operator(hardening::system_user(), actor);
    let now = SystemClock.now();
    let restored = backup::restore(url, source, children, &context, now, &SystemEntropy).await;
    let restored = restored.map_err(|error| match error {
        BackupError::Store(error) => {
            Failure::Failed(anyhow::Error::new(error).context(format!("{} failed", named(url))))
        }
        other => failed(other, || format!("{} cannot be read", file.display())),
    })?;
    let needs = key_file_needed(settings, url).await?;
    if json {
        let Restored { head, rows, adjusted } = &restored;
        let waiting = adjusted.waiting;
        return print_json(&json!({
            "taken_at": head.taken_at, "schema": head.schema, "rows": rows, "sessions_ended": adjusted.sessions,
            "extended_keys": adjusted.extended_keys, "seq": adjusted.seq,
            "waiting": { "events": waiting.events, "deliveries": waiting.deliveries, "mails": waiting.mails },
            "key_file": needs,
        }));
    }
    tell(&restored, children)?;
    print(&needs)
}

fn tell(restored: &Restored, children: Children) -> Result<(), Failure> {
    let Restored { head, rows, adjusted } = restored;
    print(&format!("{rows} rows are restored, as of {}.", head.taken_at))?;
    print(
        "What happened since is lost: keys that were revoked since are accepted again, values that were made since are not \
         known, payments that were started since are not watched.",
    )?;
    let waiting = adjusted.waiting;
    if waiting != trousseau_store::Waiting::default() {
        print(&format!(
            "Once a server runs, {} events, {} deliveries of webhooks and {} mails go out that waited then, also those \
             that have gone out since. A webhook that comes again has the id that it had.",
            waiting.events, waiting.deliveries, waiting.mails
        ))?;
    }
    if adjusted.extended_keys > 0 {
        print(&match children {
            Children::Close => format!(
                "{} extended public keys give out no address any more, since those after the backup may have been given \
                 out: name another account of the wallet (trousseau payout set), or restore with --skip-children.",
                adjusted.extended_keys
            ),
            Children::Skip(count) => {
                format!("{} extended public keys go on {count} children further.", adjusted.extended_keys)
            }
        })?;
    }
    print("Everybody has to sign in again.")
}

/// What is still to be done about the key file.
async fn key_file_needed(settings: &Settings, url: &str) -> Result<String, Failure> {
    let store = Store::open(url, &StoreOptions::default()).await;
    let store = store.with_context(|| format!("{} cannot be opened", named(url)))?;
    let rows = store.read().list_secret_versions().await.context("the database cannot be read");
    store.close().await;
    let (rows, path) = (rows?, settings.key_file.display());
    Ok(match KeyFile::load(&settings.key_file) {
        Ok(file) => match file.activate(&rows) {
            Ok(_) => format!("The key file {path} belongs to it."),
            Err(_) => format!("The key file {path} is another one: put the copy of the right one in its place."),
        },
        Err(KeyFileError::Missing(_)) => format!("It needs its key file: put the copy of that to {path}."),
        Err(error) => format!("It needs its key file: {error}"),
    })
}

/// How it ends; `cannot` says what became of the file where that is to blame.
fn failed(error: BackupError, cannot: impl FnOnce() -> String) -> Failure {
    match error {
        BackupError::File(cause) => Failure::Failed(anyhow::Error::new(cause).context(cannot())),
        BackupError::Newer { .. }
        | BackupError::Damaged(_)
        | BackupError::Lacks(_)
        | BackupError::Restore(
            RestoreError::NotEmpty(_) | RestoreError::Table(_) | RestoreError::Cells { .. } | RestoreError::ExtendedKey,
        ) => Failure::Refused(error.into()),
        BackupError::Store(_) | BackupError::Restore(RestoreError::Store(_)) => Failure::Failed(error.into()),
    }
}
