//! The secrets outside the database: the pepper under which keys are found, and the key-encryption key (KEK) under
//! which values that may be read again are sealed.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use smallvec::SmallVec;
use subtle::ConstantTimeEq as _;
use trousseau_domain::assertion::{AssertionKey, SEED_LEN};
use trousseau_domain::digest::{KeyDigest, KeyFingerprint, Pepper};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::keys::KeyKind;
use trousseau_domain::time::Timestamp;
use trousseau_store::{Sealed, SealedPlace, SecretKind, SecretVersionRow};
use zeroize::{Zeroize as _, Zeroizing};

use crate::entropy::{Entropy, EntropyExt as _};

/// Bytes of a pepper and of a key-encryption key.
const SECRET_LEN: usize = 32;
/// Bytes of a nonce of XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha section 2.3).
const NONCE_LEN: usize = 24;
/// A wrapped data key: the key and its tag.
const WRAPPED_LEN: usize = SECRET_LEN + 16;
/// The first byte of a sealed value.
const SEALED_FORMAT: u8 = 1;
/// Where the value's own nonce begins.
const BODY_START: usize = 1 + NONCE_LEN + WRAPPED_LEN;
/// No key file is longer; a wrong path may name anything.
const MAX_FILE_LEN: u64 = 1024 * 1024;
/// What a key-encryption key seals to be known again.
const KEK_CANARY: &[u8] = b"trousseau key-encryption key canary";

type Secret = Zeroizing<[u8; SECRET_LEN]>;
type Versions = BTreeMap<u32, Secret>;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It is not there.
    #[error("there is no key file {}", .0.display())]
    Missing(PathBuf),
    /// It was there already, and is never replaced by a fresh one.
    #[error("there is a key file {} already", .0.display())]
    Exists(PathBuf),
    /// Others may read it.
    #[error("others may read the key file {path} (mode {mode:04o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is no key file.
    #[error("{} is not a key file: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without any of the text.
        reason: &'static str,
    },
    /// The file system refused.
    #[error("the key file {} cannot be read or written", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A key file that does not belong to this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The database was written with a version that the file lacks.
    #[error("version {version} of the {} is missing in the key file", .kind.as_str())]
    MissingVersion {
        /// Which secret.
        kind: SecretKind,
        /// Which version of it.
        version: u32,
    },
    /// The file's secret is another one than the database was written with.
    #[error("version {version} of the {} in the key file is not the one of this database", .kind.as_str())]
    WrongSecret {
        /// Which secret.
        kind: SecretKind,
        /// Which version of it.
        version: u32,
    },
    /// The database knows no version of a secret.
    #[error("the database knows no version of the {}", .0.as_str())]
    NoVersion(SecretKind),
}

/// A sealed value that does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealed under a version that is not in the key ring.
    #[error("version {0} of the kek is not in the key ring")]
    UnknownKek(u32),
    /// Changed, moved from another row, or sealed under another secret.
    #[error("the sealed value does not belong to its row")]
    Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    format: u32,
    pepper: Vec<Entry>,
    kek: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: u32,
    secret: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// What the key file holds, before the database has said which versions are in use.
pub struct KeyFile {
    peppers: Versions,
    keks: Versions,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyFile")
    }
}

/// Whether somebody else may read a file, or write it. Who is not root cannot own a secret that the machinery mounts, and
/// reads it by the group; the file is root's then.
const fn is_exposed(mode: u32, owner: u32, reader: u32) -> bool {
    let forbidden = if owner == 0 && reader != 0 { 0o037 } else { 0o077 };
    mode & forbidden != 0
}

impl KeyFile {
    /// Makes a file with a first version of each secret, mode 0600. It stands complete on the disk, or not at all.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] where there is a file already; [`KeyFileError::Io`].
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyFileError> {
        let file = Self {
            peppers: BTreeMap::from([(1, Zeroizing::new(entropy.bytes()))]),
            keks: BTreeMap::from([(1, Zeroizing::new(entropy.bytes()))]),
        };
        file.write(path, &lock_folder(path)?, false)?;
        Ok(file)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`KeyFileError::Missing`], [`KeyFileError::Exposed`] where group or others have any right (but for the group of
    /// a file of root's, which may read), [`KeyFileError::Malformed`], [`KeyFileError::Io`].
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let mut file = File::open(path).map_err(|source| io_error(path, source))?;
        // Asked of the open file: the name may point elsewhere a moment later.
        let metadata = file.metadata().map_err(|source| io_error(path, source))?;
        let malformed = |reason| KeyFileError::Malformed { path: path.to_owned(), reason };
        if !metadata.is_file() || metadata.len() > MAX_FILE_LEN {
            return Err(malformed("not a small regular file"));
        }
        let mode = metadata.mode() & 0o7777;
        if is_exposed(mode, metadata.uid(), rustix::process::geteuid().as_raw()) {
            return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(|source| io_error(path, source))?;
        Self::parse(&text).map_err(malformed)
    }

    /// Adds a fresh version of one secret to the file at `path`, which is replaced at once. Returns the version.
    ///
    /// # Errors
    /// As [`KeyFile::load`].
    pub fn add_version(path: &Path, kind: SecretKind, entropy: &dyn Entropy) -> Result<u32, KeyFileError> {
        // Held until the file is replaced, so that two writers do not lose each other's version.
        let folder = lock_folder(path)?;
        let mut file = Self::load(path)?;
        let versions = match kind {
            SecretKind::Pepper => &mut file.peppers,
            SecretKind::Kek => &mut file.keks,
        };
        let last = versions.keys().next_back().copied().unwrap_or(0);
        let version = last
            .checked_add(1)
            .ok_or_else(|| KeyFileError::Malformed { path: path.to_owned(), reason: "its versions are used up" })?;
        versions.insert(version, Zeroizing::new(entropy.bytes()));
        file.write(path, &folder, true)?;
        Ok(version)
    }

    /// The newest version of one secret.
    pub(crate) fn newest(&self, kind: SecretKind) -> Option<u32> {
        let versions = match kind {
            SecretKind::Pepper => &self.peppers,
            SecretKind::Kek => &self.keks,
        };
        versions.keys().next_back().copied()
    }

    /// The rows by which a database knows these secrets again.
    pub(crate) fn canaries(&self, now: Timestamp, entropy: &dyn Entropy) -> Vec<SecretVersionRow> {
        let peppers = self.peppers.keys().map(|version| (SecretKind::Pepper, *version));
        let keks = self.keks.keys().map(|version| (SecretKind::Kek, *version));
        peppers
            .chain(keks)
            .filter_map(|(kind, version)| {
                let canary = self.canary(kind, version, entropy)?;
                Some(SecretVersionRow { kind, version, canary, created_at: now })
            })
            .collect()
    }

    /// What one of the secrets makes of a known text; `None` where the file has no such version.
    pub(crate) fn canary(&self, kind: SecretKind, version: u32, entropy: &dyn Entropy) -> Option<Vec<u8>> {
        match kind {
            SecretKind::Pepper => self.peppers.get(&version).map(|pepper| pepper_canary(pepper, version).to_vec()),
            SecretKind::Kek => self.keks.get(&version).map(|kek| {
                let nonce: [u8; NONCE_LEN] = entropy.bytes();
                let mut canary = nonce.to_vec();
                canary.extend(encrypt(kek, &nonce, KEK_CANARY, &canary_label(SecretKind::Kek, version)));
                canary
            }),
        }
    }

    /// The key ring of a database that was written with these versions.
    ///
    /// # Errors
    /// When one of them is missing here or is another secret.
    pub fn activate(self, rows: &[SecretVersionRow]) -> Result<KeyRing, RingError> {
        let mut ring = KeyRing { peppers: Vec::new(), keks: Vec::new(), assertions: Vec::new() };
        for row in rows {
            let (kind, version) = (row.kind, row.version);
            let versions = match kind {
                SecretKind::Pepper => &self.peppers,
                SecretKind::Kek => &self.keks,
            };
            let secret = versions.get(&version).ok_or(RingError::MissingVersion { kind, version })?;
            let right = match kind {
                SecretKind::Pepper => pepper_canary(secret, version).ct_eq(row.canary.as_slice()).into(),
                SecretKind::Kek => row.canary.split_first_chunk::<NONCE_LEN>().is_some_and(|(nonce, body)| {
                    decrypt(secret, nonce, body, &canary_label(kind, version))
                        .is_some_and(|text| text.as_slice() == KEK_CANARY)
                }),
            };
            if !right {
                return Err(RingError::WrongSecret { kind, version });
            }
            match kind {
                SecretKind::Pepper => {
                    ring.peppers.push((version, Pepper::new(secret)));
                    let key = AssertionKey::from_seed(&assertion_seed(secret, version));
                    ring.assertions.push(RingAssertionKey { version, since: row.created_at, key });
                }
                SecretKind::Kek => ring.keks.push((version, secret.clone())),
            }
        }
        for (kind, is_empty) in [(SecretKind::Pepper, ring.peppers.is_empty()), (SecretKind::Kek, ring.keks.is_empty())]
        {
            if is_empty {
                return Err(RingError::NoVersion(kind));
            }
        }
        ring.peppers.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        ring.keks.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        ring.assertions.sort_by_key(|key| std::cmp::Reverse(key.version));
        Ok(ring)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        // The parser's own message quotes the text, so it is not passed on.
        let parsed: FileText = toml::from_str(text).map_err(|_| "a member is missing, unknown or of a wrong type")?;
        if parsed.format != 1 {
            return Err("its format is not 1");
        }
        Ok(Self { peppers: versions(&parsed.pepper)?, keks: versions(&parsed.kek)? })
    }

    fn text(&self) -> Zeroizing<String> {
        // Room for everything, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(512 + 128 * (self.peppers.len() + self.keks.len())));
        text.push_str(
            "# The secrets of this installation. Keep a copy apart from the backups: without it they are of no use.\n\
             format = 1\n",
        );
        for (name, versions) in [("pepper", &self.peppers), ("kek", &self.keks)] {
            for (version, secret) in versions {
                let secret = Zeroizing::new(STANDARD.encode(secret.as_slice()));
                write!(text, "\n[[{name}]]\nversion = {version}\nsecret = \"{}\"\n", secret.as_str())
                    .expect("writing to a string cannot fail");
            }
        }
        text
    }

    fn write(&self, path: &Path, folder: &File, replace: bool) -> Result<(), KeyFileError> {
        let fail = |source| io_error(path, source);
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".new");
        let fresh = path.with_file_name(name);
        // A left-over of a writer that was killed; the folder is locked, so it is nobody's now.
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let placed = self.write_to(&fresh).and_then(|()| {
            // A link refuses to replace, which a rename would do.
            if replace { std::fs::rename(&fresh, path) } else { std::fs::hard_link(&fresh, path) }
        });
        if !replace || placed.is_err() {
            // It holds secrets, or is what a full disk has left of them.
            let removed = std::fs::remove_file(&fresh);
            if placed.is_ok() {
                removed.map_err(fail)?;
            }
        }
        placed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists if !replace => KeyFileError::Exists(path.to_owned()),
            _ => fail(error),
        })?;
        folder.sync_all().map_err(fail)
    }

    fn write_to(&self, fresh: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()
    }
}

fn io_error(path: &Path, source: io::Error) -> KeyFileError {
    if source.kind() == io::ErrorKind::NotFound {
        KeyFileError::Missing(path.to_owned())
    } else {
        KeyFileError::Io { path: path.to_owned(), source }
    }
}

/// The folder of the file, locked against other writers until it is dropped.
fn lock_folder(path: &Path) -> Result<File, KeyFileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fail = |source| KeyFileError::Io { path: path.to_owned(), source };
    let folder = File::open(folder).map_err(fail)?;
    folder.lock().map_err(fail)?;
    Ok(folder)
}

fn versions(entries: &[Entry]) -> Result<Versions, &'static str> {
    let mut versions = Versions::new();
    for entry in entries {
        let bytes = Zeroizing::new(STANDARD.decode(&entry.secret).map_err(|_| "a secret is not base64")?);
        let secret: [u8; SECRET_LEN] = bytes.as_slice().try_into().map_err(|_| "a secret has not 32 bytes")?;
        if entry.version == 0 {
            return Err("versions begin with 1");
        }
        if versions.insert(entry.version, Zeroizing::new(secret)).is_some() {
            return Err("a version stands there twice");
        }
    }
    if versions.is_empty() {
        return Err("a secret has no version");
    }
    Ok(versions)
}

fn canary_label(kind: SecretKind, version: u32) -> Vec<u8> {
    encode(&[b"trousseau canary", kind.as_str().as_bytes(), &version.to_be_bytes()])
}

fn pepper_canary(pepper: &Secret, version: u32) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(pepper.as_slice()).expect("HMAC takes a key of any length");
    mac.update(&canary_label(SecretKind::Pepper, version));
    mac.finalize().into_bytes().into()
}

/// The secret half of the key that assertions are signed with while this pepper is in use. The pepper is a key of HMAC
/// and of nothing else, and no other text under it begins like this one.
fn assertion_seed(pepper: &Secret, version: u32) -> Zeroizing<[u8; SEED_LEN]> {
    let mut mac =
        <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(pepper.as_slice()).expect("HMAC takes a key of any length");
    mac.update(&encode(&[b"trousseau assertion key", &version.to_be_bytes()]));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Fields one after the other, each behind its length: no two lists give the same bytes.
fn encode(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        let len = u32::try_from(field.len()).expect("ids and words are short");
        bytes.extend(len.to_be_bytes());
        bytes.extend(*field);
    }
    bytes
}

fn cipher(key: &Secret) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new_from_slice(key.as_slice()).expect("a secret has 32 bytes")
}

fn encrypt(key: &Secret, nonce: &[u8; NONCE_LEN], msg: &[u8], aad: &[u8]) -> Vec<u8> {
    cipher(key)
        .encrypt(&XNonce::from(*nonce), Payload { msg, aad })
        .expect("a key's text is far shorter than what one nonce may cover")
}

fn decrypt(key: &Secret, nonce: &[u8; NONCE_LEN], msg: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    cipher(key).decrypt(&XNonce::from(*nonce), Payload { msg, aad }).ok().map(Zeroizing::new)
}

/// The row that a sealed value belongs to. Moved to any other row, it does not open.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The key.
    pub key: KeyId,
    /// Which of its secret versions.
    pub version: u32,
    /// Its business.
    pub business: &'a BusinessId,
    /// Its environment.
    pub environment: Environment,
    /// Its kind.
    pub kind: KeyKind,
}

/// Where a sealed value stands: what it is bound to.
pub(crate) trait Bound {
    /// The place as bytes, for the value itself or for the key that it is sealed with.
    fn associated_data(&self, part: &[u8]) -> Vec<u8>;
}

/// A column of a row that belongs to no key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a> {
    /// The table.
    pub(crate) table: &'static str,
    /// The row's id.
    pub(crate) row: &'a str,
    /// The column.
    pub(crate) column: &'static str,
}

impl<'a> Cell<'a> {
    /// The cell of a row.
    pub(crate) const fn of(place: SealedPlace, row: &'a str) -> Self {
        Self { table: place.table(), row, column: place.column() }
    }
}

impl Bound for Cell<'_> {
    fn associated_data(&self, part: &[u8]) -> Vec<u8> {
        encode(&[&[SEALED_FORMAT], self.table.as_bytes(), part, self.row.as_bytes(), self.column.as_bytes()])
    }
}

impl Bound for Binding<'_> {
    fn associated_data(&self, part: &[u8]) -> Vec<u8> {
        encode(&[
            &[SEALED_FORMAT],
            b"key_versions",
            part,
            &self.key.bits().to_be_bytes(),
            &self.version.to_be_bytes(),
            self.business.as_str().as_bytes(),
            self.environment.as_str().as_bytes(),
            self.kind.as_str().as_bytes(),
        ])
    }
}

/// The secrets in use, the newest version first.
pub struct KeyRing {
    peppers: Vec<(u32, Pepper)>,
    keks: Vec<(u32, Secret)>,
    assertions: Vec<RingAssertionKey>,
}

/// A key for assertions, and since when every node has been able to publish it.
struct RingAssertionKey {
    version: u32,
    since: Timestamp,
    key: AssertionKey,
}

/// How long a key for assertions is published before it signs, so that every cached set has it by then.
const PUBLISHED_BEFORE: Duration = Duration::from_mins(15);
/// How long a key for assertions is published after its successor came, so that what it signed can be verified.
const PUBLISHED_AFTER: Duration = Duration::from_mins(30);

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyRing")
    }
}

impl KeyRing {
    /// The version under which new digests are made.
    pub fn current_pepper(&self) -> u32 {
        self.newest_pepper().0
    }

    /// The version under which new values are sealed.
    pub fn current_kek(&self) -> u32 {
        self.newest_kek().0
    }

    /// Since when there is that version.
    pub(crate) fn current_pepper_since(&self) -> Timestamp {
        self.assertions.first().expect("a ring is made with at least one pepper").since
    }

    /// The key that assertions are signed with: the newest that has been published for a while, or the first.
    pub(crate) fn assertion_key(&self, now: Timestamp) -> &AssertionKey {
        let known = |key: &&RingAssertionKey| now.since(key.since) >= PUBLISHED_BEFORE;
        let chosen = self.assertions.iter().find(known).or(self.assertions.last());
        &chosen.expect("a ring is made with at least one pepper").key
    }

    /// The keys that a verifier of assertions has to know at `now`, the newest first.
    pub(crate) fn published_assertion_keys(&self, now: Timestamp) -> impl Iterator<Item = &AssertionKey> {
        let successors = std::iter::once(None).chain(self.assertions.iter().map(Some));
        self.assertions
            .iter()
            .zip(successors)
            .filter(move |(_, successor)| successor.is_none_or(|next| now.since(next.since) < PUBLISHED_AFTER))
            .map(|(key, _)| &key.key)
    }

    /// The digest of a key under the current pepper, and that pepper's version.
    pub fn digest(&self, fingerprint: &KeyFingerprint) -> (KeyDigest, u32) {
        let (version, pepper) = self.newest_pepper();
        (KeyDigest::of(fingerprint, pepper), *version)
    }

    /// The digests of a key under every pepper in use, the current one first.
    pub fn digests(&self, fingerprint: &KeyFingerprint) -> SmallVec<[KeyDigest; 1]> {
        self.versioned_digests(fingerprint).map(|(_, digest)| digest).collect()
    }

    /// The same, each with the version of its pepper.
    pub fn versioned_digests(&self, fingerprint: &KeyFingerprint) -> impl Iterator<Item = (u32, KeyDigest)> {
        self.peppers.iter().map(|(version, pepper)| (*version, KeyDigest::of(fingerprint, pepper)))
    }

    /// The digest of a key under one pepper; `None` where that is not in use.
    pub fn digest_under(&self, version: u32, fingerprint: &KeyFingerprint) -> Option<KeyDigest> {
        find(&self.peppers, version).map(|pepper| KeyDigest::of(fingerprint, pepper))
    }

    /// Seals a value for its row: a data key of its own, wrapped by the current key-encryption key.
    pub(crate) fn seal(&self, plaintext: &[u8], binding: &impl Bound, entropy: &dyn Entropy) -> Sealed {
        let data_key: Secret = Zeroizing::new(entropy.bytes());
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut body = nonce.to_vec();
        body.extend(encrypt(&data_key, &nonce, plaintext, &binding.associated_data(b"value")));
        self.wrap(&data_key, &body, binding, entropy)
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// When it was changed, belongs to another row, or its key-encryption key is not in use.
    pub(crate) fn open(&self, sealed: &Sealed, binding: &impl Bound) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (data_key, body) = self.unwrap_key(sealed, binding)?;
        let (nonce, body) = body.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Refused)?;
        decrypt(&data_key, nonce, body, &binding.associated_data(b"value")).ok_or(SealError::Refused)
    }

    /// The same sealed value with its data key under the current key-encryption key.
    ///
    /// # Errors
    /// As [`KeyRing::open`]: what does not open is not wrapped anew.
    pub(crate) fn rewrap(
        &self,
        sealed: &Sealed,
        binding: &impl Bound,
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        self.open(sealed, binding)?;
        let (data_key, body) = self.unwrap_key(sealed, binding)?;
        Ok(self.wrap(&data_key, body, binding, entropy))
    }

    fn wrap(&self, data_key: &Secret, body: &[u8], binding: &impl Bound, entropy: &dyn Entropy) -> Sealed {
        let (kek_version, kek) = self.newest_kek();
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut bytes = vec![SEALED_FORMAT];
        bytes.extend(nonce);
        bytes.extend(encrypt(kek, &nonce, data_key.as_slice(), &binding.associated_data(b"data key")));
        bytes.extend(body);
        Sealed { bytes, kek_version: *kek_version }
    }

    fn unwrap_key<'a>(&self, sealed: &'a Sealed, binding: &impl Bound) -> Result<(Secret, &'a [u8]), SealError> {
        let kek = find(&self.keks, sealed.kek_version).ok_or(SealError::UnknownKek(sealed.kek_version))?;
        let (head, body) = sealed.bytes.split_at_checked(BODY_START).ok_or(SealError::Refused)?;
        let (format, wrapped) = head.split_first().ok_or(SealError::Refused)?;
        if *format != SEALED_FORMAT {
            return Err(SealError::Refused);
        }
        let (nonce, wrapped) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Refused)?;
        let key = decrypt(kek, nonce, wrapped, &binding.associated_data(b"data key")).ok_or(SealError::Refused)?;
        let key: [u8; SECRET_LEN] = key.as_slice().try_into().map_err(|_| SealError::Refused)?;
        Ok((Zeroizing::new(key), body))
    }

    fn newest_pepper(&self) -> &(u32, Pepper) {
        self.peppers.first().expect("a ring is made with at least one pepper")
    }

    fn newest_kek(&self) -> &(u32, Secret) {
        self.keks.first().expect("a ring is made with at least one key-encryption key")
    }
}

fn find<T>(secrets: &[(u32, T)], version: u32) -> Option<&T> {
    secrets.iter().find(|(known, _)| *known == version).map(|(_, secret)| secret)
}

/// The key ring as it is now; clones see the same one, also after a rotation.
#[derive(Debug, Clone)]
pub struct KeyRingHandle(Arc<RwLock<Arc<KeyRing>>>);

impl KeyRingHandle {
    /// A handle that begins with `ring`.
    pub fn new(ring: KeyRing) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(ring))))
    }

    /// The present ring.
    pub fn get(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, ring: KeyRing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use trousseau_domain::time::Timestamp;

    use super::*;
    use crate::entropy::SeededEntropy;

    fn now() -> Timestamp {
        "2026-01-31T09:30:00Z".parse().expect("good")
    }

    /// A folder that goes away with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name: [u8; 8] = crate::entropy::SystemEntropy.bytes();
            let path = std::env::temp_dir().join(format!("trousseau-ring-{}", u64::from_be_bytes(name)));
            std::fs::create_dir(&path).expect("a fresh folder");
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("keys.toml")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn put(path: &Path, text: &str) {
        std::fs::write(path, text).expect("writable");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    }

    fn ring(seed: u64) -> KeyRing {
        let folder = Folder::new();
        let entropy = SeededEntropy::new(seed);
        let file = KeyFile::create(&folder.file(), &entropy).expect("created");
        let rows = file.canaries(now(), &entropy);
        file.activate(&rows).expect("its own canaries")
    }

    #[test]
    fn a_file_is_private_and_never_replaced_by_a_fresh_one() {
        let folder = Folder::new();
        let path = folder.file();
        KeyFile::create(&path, &SeededEntropy::new(1)).expect("created");
        let mode = std::fs::metadata(&path).expect("there").mode();
        assert_eq!(mode & 0o7777, 0o600);
        let before = std::fs::read(&path).expect("readable");
        let again = KeyFile::create(&path, &SeededEntropy::new(2));
        assert!(matches!(again, Err(KeyFileError::Exists(_))));
        assert_eq!(std::fs::read(&path).expect("readable"), before);
        assert_eq!(std::fs::read_dir(&folder.0).expect("readable").count(), 1);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_cannot_be_put_in_its_place() {
        let (folder, elsewhere, entropy) = (Folder::new(), Folder::new(), SeededEntropy::new(1));
        let file = KeyFile::create(&elsewhere.file(), &entropy).expect("created");
        std::fs::create_dir(folder.file()).expect("made");
        let lock = lock_folder(&folder.file()).expect("locked");
        for replace in [true, false] {
            file.write(&folder.file(), &lock, replace).expect_err("a folder is there");
            assert_eq!(std::fs::read_dir(&folder.0).expect("readable").count(), 1, "{replace}");
        }
        drop(lock);
        // What a writer that was killed has left does not stop the next one.
        put(&elsewhere.0.join(".keys.toml.new"), "");
        assert_eq!(KeyFile::add_version(&elsewhere.file(), SecretKind::Pepper, &entropy).expect("added"), 2);
        assert_eq!(std::fs::read_dir(&elsewhere.0).expect("readable").count(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        let folder = Folder::new();
        let path = folder.file();
        KeyFile::create(&path, &SeededEntropy::new(1)).expect("created");
        for mode in [0o640, 0o604, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
            let error = KeyFile::load(&path).expect_err("refused");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_mounted_secret_of_root_s_may_be_read_by_its_group_and_nothing_else_may() {
        for (mode, owner, reader, exposed) in [
            (0o600, 7, 7, false),
            (0o400, 7, 7, false),
            (0o440, 7, 7, true),
            (0o440, 0, 7, false),
            (0o640, 0, 7, false),
            (0o440, 0, 0, true),
            (0o660, 0, 7, true),
            (0o450, 0, 7, true),
            (0o444, 0, 7, true),
        ] {
            assert_eq!(is_exposed(mode, owner, reader), exposed, "{mode:o} of {owner} read by {reader}");
        }
    }

    #[test]
    fn only_a_right_file_is_read() {
        let folder = Folder::new();
        let path = folder.file();
        assert!(matches!(KeyFile::load(&path), Err(KeyFileError::Missing(_))));
        let secret = STANDARD.encode([7; 32]);
        let entry = |name: &str, version: u32, secret: &str| {
            format!("[[{name}]]\nversion = {version}\nsecret = \"{secret}\"\n")
        };
        let both = entry("pepper", 1, &secret) + &entry("kek", 1, &secret);
        put(&path, &format!("format = 1\n{both}"));
        KeyFile::load(&path).expect("right");
        for bad in [
            String::new(),
            format!("format = 2\n{both}"),
            format!("format = 1\nother = 1\n{both}"),
            format!("format = 1\n{both}colour = 1\n"),
            format!("format = 1\n{both}{}", entry("kek", 1, &secret)),
            format!("format = 1\n{}", entry("kek", 1, &secret)),
            format!("format = 1\n{}{}", entry("pepper", 0, &secret), entry("kek", 1, &secret)),
            format!("format = 1\n{both}{}", entry("kek", 2, &STANDARD.encode([7; 31]))),
            format!("format = 1\n{both}{}", entry("kek", 2, "%")),
        ] {
            put(&path, &bad);
            let error = KeyFile::load(&path).expect_err("refused");
            assert!(matches!(error, KeyFileError::Malformed { .. }), "{bad}");
            assert!(!error.to_string().contains(&secret));
        }
    }

    #[test]
    fn a_new_version_is_used_once_the_database_knows_it() {
        let folder = Folder::new();
        let path = folder.file();
        let entropy = SeededEntropy::new(3);
        let file = KeyFile::create(&path, &entropy).expect("created");
        let first = file.canaries(now(), &entropy);
        assert_eq!(KeyFile::add_version(&path, SecretKind::Pepper, &entropy).expect("added"), 2);
        let loaded = KeyFile::load(&path).expect("right");
        let second = loaded.canaries(now(), &entropy);
        let before = loaded.activate(&first).expect("known");
        assert_eq!((before.current_pepper(), before.current_kek()), (1, 1));
        let after = KeyFile::load(&path).expect("right").activate(&second).expect("known");
        assert_eq!((after.current_pepper(), after.current_kek()), (2, 1));
        let fingerprint = KeyFingerprint::from_sha256([5; 32]);
        let digests: Vec<_> = after.versioned_digests(&fingerprint).collect();
        assert_eq!(digests.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [2, 1]);
        assert!(digests[1].1.matches(&before.digest(&fingerprint).0));
        assert!(digests[0].1.matches(&after.digest(&fingerprint).0));
        assert!(!digests[0].1.matches(&digests[1].1));
    }

    #[test]
    fn another_installation_s_file_is_refused() {
        let folder = Folder::new();
        let entropy = SeededEntropy::new(4);
        let rows = KeyFile::create(&folder.file(), &entropy).expect("created").canaries(now(), &entropy);
        for row in &rows {
            let other = Folder::new();
            let file = KeyFile::create(&other.file(), &SeededEntropy::new(5)).expect("created");
            assert_eq!(
                file.activate(std::slice::from_ref(row)).expect_err("refused"),
                RingError::WrongSecret { kind: row.kind, version: 1 }
            );
        }
        let mut later = rows.clone();
        later.push(SecretVersionRow { version: 2, ..rows[0].clone() });
        let missing = KeyFile::load(&folder.file()).expect("right").activate(&later).expect_err("refused");
        assert!(matches!(missing, RingError::MissingVersion { version: 2, .. }));
        let none = KeyFile::load(&folder.file()).expect("right").activate(&[]).expect_err("refused");
        assert_eq!(none, RingError::NoVersion(SecretKind::Pepper));
    }

    #[test]
    fn a_sealed_value_opens_in_its_own_row_only() {
        let ring = ring(6);
        let entropy = SeededEntropy::new(7);
        let (business, other): (BusinessId, BusinessId) = ("a-1".parse().expect("good"), "a-2".parse().expect("good"));
        let right = Binding {
            key: KeyId::from_bits(1),
            version: 1,
            business: &business,
            environment: Environment::Test,
            kind: KeyKind::Secret,
        };
        let sealed = ring.seal(b"the value", &right, &entropy);
        assert_eq!(ring.open(&sealed, &right).expect("its row").as_slice(), b"the value");
        for wrong in [
            Binding { key: KeyId::from_bits(2), ..right },
            Binding { version: 2, ..right },
            Binding { business: &other, ..right },
            Binding { environment: Environment::Live, ..right },
            Binding { kind: KeyKind::Checkout, ..right },
        ] {
            assert_eq!(ring.open(&sealed, &wrong).expect_err("refused"), SealError::Refused, "{wrong:?}");
            assert!(ring.rewrap(&sealed, &wrong, &entropy).is_err());
        }
        for index in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[index] ^= 1;
            assert!(ring.open(&changed, &right).is_err(), "byte {index}");
            let cut = Sealed { bytes: sealed.bytes[..index].to_vec(), kek_version: 1 };
            assert!(ring.open(&cut, &right).is_err(), "{index} bytes");
        }
        let elsewhere = Sealed { kek_version: 9, ..sealed.clone() };
        assert_eq!(ring.open(&elsewhere, &right).expect_err("refused"), SealError::UnknownKek(9));
        let rewrapped = ring.rewrap(&sealed, &right, &entropy).expect("its row");
        assert_ne!(rewrapped.bytes, sealed.bytes);
        assert_eq!(ring.open(&rewrapped, &right).expect("its row").as_slice(), b"the value");
        assert!(self::ring(8).open(&sealed, &right).is_err());
    }

    #[test]
    fn a_sealed_cell_opens_in_its_own_place_only() {
        let (ring, entropy) = (ring(1), SeededEntropy::new(2));
        let cell = |table, row, column| Cell { table, row, column };
        let sealed = ring.seal(b"secret", &cell("accounts", "acc_1", "totp_secret"), &entropy);
        let opened = ring.open(&sealed, &cell("accounts", "acc_1", "totp_secret")).expect("opens");
        assert_eq!(opened.as_slice(), b"secret");
        for (table, row, column) in [
            ("accounts", "acc_2", "totp_secret"),
            ("accounts", "acc_1", "password_hash"),
            ("mails", "acc_1", "totp_secret"),
        ] {
            assert!(ring.open(&sealed, &cell(table, row, column)).is_err(), "{table} {row} {column}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        assert_eq!(format!("{:?}", ring(9)), "KeyRing");
        assert_eq!(format!("{:?}", KeyRingHandle::new(ring(9)).get()), "KeyRing");
    }
}
