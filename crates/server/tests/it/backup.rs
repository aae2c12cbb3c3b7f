//! The restore drill: a backup is taken while everybody writes, and what was acknowledged before is there afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use trousseau_store::testing::TestDatabase;

use crate::kill_payments::{Backend, text};
use crate::process::{Ended, Place, Server};

fn unpacked(file: &Path) -> String {
    let mut text = String::new();
    let packed = fs::File::open(file).expect("the backup");
    MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzip of text");
    text
}

/// The rows of a backup by table, without what a restore changes.
fn rows(file: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut table: Option<(String, Vec<String>)> = None;
    for line in unpacked(file).lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        if let Some(name) = line["table"].as_str() {
            let columns = line["columns"].as_array().expect("columns");
            let columns = columns.iter().map(|name| name.as_str().expect("a name").to_owned()).collect();
            table = Some((name.to_owned(), columns));
        } else if let (Value::Array(cells), Some((name, columns))) = (line, &table) {
            let named: serde_json::Map<_, _> = columns.iter().cloned().zip(cells).collect();
            tables.entry(name.clone()).or_default().insert(Value::Object(named).to_string());
        }
    }
    for changed in ["changes", "change_counter", "sessions", "one_time_tokens"] {
        tables.remove(changed);
    }
    if let Some(audit) = tables.get_mut("audit_entries") {
        audit.retain(|entry| !entry.contains("\"database.restored\""));
    }
    tables
}

fn path_of(place: &Place, name: &str) -> PathBuf {
    place.path().join(name)
}

fn give_key_file(from: &Place, to: &Place) {
    fs::create_dir_all(path_of(to, "trousseau-data")).expect("a folder");
    fs::copy(path_of(from, "trousseau-data/keys.toml"), path_of(to, "trousseau-data/keys.toml")).expect("a copy");
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(ended.out.lines().last().expect("an answer")).expect("JSON")
}

/// A file of keys to import.
fn keys_file(place: &Place, name: &str, count: u32) -> String {
    let file = path_of(place, &format!("{name}.jsonl"));
    let lines: String =
        (0..count).map(|n| json!({ "value": format!("{name}-imported-key-{n:05}") }).to_string() + "\n").collect();
    fs::write(&file, lines).expect("written");
    file.to_str().expect("a path").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_holds_all_that_was_acknowledged_before_it() {
    drill(Place::new(), Place::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_postgres_restores_on_sqlite_and_on_postgres() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let (from, to) = (TestDatabase::postgres(&server).await, TestDatabase::postgres(&server).await);
    drill(Place::with_database(from.url()), Place::with_database(to.url())).await;
    let from = TestDatabase::postgres(&server).await;
    drill(Place::with_database(from.url()), Place::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_sqlite_restores_on_postgres() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let to = TestDatabase::postgres(&server).await;
    drill(Place::new(), Place::with_database(to.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_postgres_holds_every_table_of_ours_and_no_other() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let from = TestDatabase::postgres(&server).await;
    // A role that every server has, with the rights that it is given in this database.
    let joined = if from.url().contains('?') { '&' } else { '?' };
    let reader = Place::with_database(&format!("{}{joined}options[role]=pg_signal_backend", from.url()));
    from.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_signal_backend").await.expect("granted");
    // As after an upgrade that has brought a table.
    from.run("REVOKE SELECT ON quota_counts FROM pg_signal_backend").await.expect("revoked");
    let refused = reader.run(&["backup", "backup.gz"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.err.contains("GRANT SELECT ON quota_counts TO"), "{refused:?}");
    assert!(!path_of(&reader, "backup.gz").exists() && !path_of(&reader, "backup.gz.partial").exists());

    from.run("GRANT SELECT ON quota_counts TO pg_signal_backend").await.expect("granted");
    from.run("CREATE TABLE keys_before_cleanup AS SELECT id, name FROM keys").await.expect("made");
    from.run("CREATE TABLE notes (at TIMESTAMPTZ, content JSONB)").await.expect("made");
    let ended = reader.run(&["backup", "backup.gz"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("left out, not a table of Trousseau: keys_before_cleanup, notes"), "{ended:?}");
    let to = Place::new();
    let ended = to.run(&["restore", path_of(&reader, "backup.gz").to_str().expect("a path")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

async fn drill(from: Place, to: Place) {
    tokio::task::spawn_blocking(move || drill_now(&from, &to)).await.expect("it ends");
}

/// Makes invoices and pays them until it is told to stop; notes each that was acknowledged as paid.
fn pay(backend: &Backend, paid: &Mutex<Vec<String>>) {
    for number in 0.. {
        let draft = json!({"title": "Order", "amount": "12.50", "due_at": "2090-01-01T00:00:00Z"});
        let Some(invoice) = backend.call("/v1/invoices", &format!("{number}-made"), &draft) else { break };
        let payable = json!({"payable": invoice["id"]});
        let Some(payment) = backend.call("/v1/checkout/payments", &format!("{number}-started"), &payable) else {
            break;
        };
        let id = text(&payment, "id").to_owned();
        let hash = json!({"transaction_hash": format!("0x1_{number}")});
        let path = format!("/v1/checkout/payments/{id}/transaction");
        if backend.call(&path, &format!("{number}-paid"), &hash).is_none() {
            break;
        }
        paid.lock().expect("not poisoned").push(id);
    }
}

fn drill_now(from: &Place, to: &Place) {
    let made = json_of(&from.run(&["business", "create", "Shop", "--json"]));
    let keys = made["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["environment"] == "test" && key["kind"] == "secret").expect("a key");
    let id = text(&made["business"], "id").to_owned();
    let import = ["key", "import", "--business", &id, "--environment", "live"];
    let before = keys_file(from, "before", 1_200);
    let ended = from.run(&[&import[..], &[&before]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let server = Server::start(from, &[]);
    let backend = Backend {
        address: Arc::new(Mutex::new(server.address)),
        headers: format!("apikey: {}\r\nbusinessid: {id}\r\n", text(key, "value")),
        stop: Arc::default(),
        progress: Arc::default(),
    };
    let paid = Arc::new(Mutex::new(Vec::new()));
    let payer = {
        let (backend, paid) = (backend.clone(), Arc::clone(&paid));
        thread::spawn(move || pay(&backend, &paid))
    };
    let waited = Instant::now();
    while paid.lock().expect("not poisoned").len() < 5 {
        assert!(waited.elapsed() < Duration::from_mins(1), "nothing is paid: {}", server.log());
        thread::sleep(Duration::from_millis(20));
    }
    // Another process writes by the thousand meanwhile.
    let load = keys_file(from, "meanwhile", 8_000);
    let mut loading = from.command(&[&import[..], &[&load]].concat());
    let loading = loading.stdout(Stdio::null()).spawn().expect("it starts");

    let acknowledged = paid.lock().expect("not poisoned").clone();
    let file = path_of(from, "backup.gz");
    let name = file.to_str().expect("a path");
    let ended = from.run(&["backup", name, "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let progress = backend.progress.load(Ordering::Relaxed);
    let mut loading = loading;
    assert!(loading.wait().expect("it ends").success());
    let waited = Instant::now();
    while backend.progress.load(Ordering::Relaxed) == progress {
        assert!(waited.elapsed() < Duration::from_mins(1), "the server stood still");
        thread::sleep(Duration::from_millis(20));
    }
    backend.stop.store(true, Ordering::Relaxed);
    payer.join().expect("it ends");
    drop(server);

    check_file(from, &file, text(key, "value"));
    let ended = to.run(&["restore", name, "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = json_of(&ended);
    assert!(text(&told, "key_file").starts_with("It needs its key file"), "{told}");
    // Without it nothing works, and no fresh one is made.
    let early = to.run(&["business", "list"]);
    assert_eq!(early.code, Some(3), "{early:?}");
    give_key_file(from, to);
    // Once more is refused, since it is not empty now.
    let again = to.run(&["restore", name]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("not empty"), "{again:?}");
    // Row by row the same.
    let second = path_of(to, "second.gz");
    assert_eq!(to.run(&["backup", second.to_str().expect("a path")]).code, Some(0));
    let (one, other) = (rows(&file), rows(&second));
    assert!(one.len() > 10 && one["keys"].len() >= 1_200, "{:?}", one.keys());
    // The servers that ran on the one are none on the other.
    for (table, rows) in one.iter().filter(|(table, _)| *table != "nodes") {
        assert_eq!(Some(rows), other.get(table), "{table}");
    }

    check_restored(to, &id, &before, &backend, &acknowledged);
}

/// It is ours alone to read, it replaces nothing, and the secrets are not in it.
fn check_file(from: &Place, file: &Path, key: &str) {
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(file).expect("there"));
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(from.run(&["backup", file.to_str().expect("a path")]).code, Some(1));
    assert!(!path_of(from, "backup.gz.partial").exists());
    let content = unpacked(file);
    let secrets = fs::read_to_string(path_of(from, "trousseau-data/keys.toml")).expect("the key file");
    let secrets: Vec<&str> = secrets.lines().filter_map(|line| line.strip_prefix("secret = ")).collect();
    assert_eq!(secrets.len(), 2);
    for secret in secrets {
        let secret = secret.trim_matches('"');
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, secret).expect("base64");
        let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert!(!content.contains(secret) && !content.contains(&digits), "a secret is in the backup");
    }
    assert!(!content.contains("before-imported-key") && !content.contains(key), "a key is in the backup");
}

/// What was acknowledged is there and works, and so does what is written afterwards.
fn check_restored(to: &Place, id: &str, before: &str, backend: &Backend, acknowledged: &[String]) {
    let server = Server::start(to, &[]);
    *backend.address.lock().expect("not poisoned") = server.address;
    for n in (0..1_200).step_by(40) {
        let key = format!("before-imported-key-{n:05}");
        let answer = server.get("/v1/whoami", &format!("x-api-key: {key}\r\nbusinessid: {id}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let known =
        to.run(&[&["key", "import", "--business", id, "--environment", "live"][..], &[before, "--json"]].concat());
    assert_eq!(json_of(&known), json!({"imported": 0, "known": 1_200, "refused": 0}));
    let payments: BTreeMap<String, Value> =
        backend.list("/v1/payments").into_iter().map(|payment| (text(&payment, "id").to_owned(), payment)).collect();
    assert!(payments.len() >= acknowledged.len());
    for id in acknowledged {
        let payment = payments.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is not there"));
        assert_eq!((text(payment, "status"), text(payment, "amount_settled")), ("settled", "12.50"), "{payment}");
    }
    // What is written after the restore works too: numbers and events go on.
    backend.stop.store(false, Ordering::Relaxed);
    let draft = json!({"title": "Afterwards", "amount": "1.00", "due_at": "2090-01-01T00:00:00Z"});
    backend.call("/v1/invoices", "afterwards", &draft).expect("made");
}

#[test]
fn what_a_killed_backup_left_is_replaced() {
    let place = Place::new();
    assert_eq!(place.run(&["business", "create", "Shop"]).code, Some(0));
    let (file, partial) = (path_of(&place, "backup.gz"), path_of(&place, "backup.gz.partial"));

    // One that is still being written.
    let held = fs::File::create(&partial).expect("made");
    held.try_lock().expect("nobody holds it");
    let refused = place.run(&["backup", "backup.gz"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("another backup to backup.gz is running"), "{refused:?}");
    assert!(partial.exists() && !file.exists());

    // It was killed.
    fs::write(&partial, "half of a backup").expect("written");
    held.unlock().expect("given back");
    drop(held);
    let ended = place.run(&["backup", "backup.gz"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).expect("there"));
    assert_eq!(mode & 0o777, 0o600);
    assert!(!partial.exists() && unpacked(&file).contains("\"sha256\":"));

    // Another was killed between its two names, and what it made was taken elsewhere: that stays as it is.
    let moved = path_of(&place, "moved.gz");
    let whole = fs::read(&file).expect("the backup");
    fs::hard_link(&file, &partial).expect("linked");
    fs::rename(&file, &moved).expect("moved");
    let ended = place.run(&["backup", "backup.gz"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!partial.exists() && file.exists());
    assert_eq!(fs::read(&moved).expect("the backup"), whole);

    // What is no file of ours is left alone.
    fs::create_dir(path_of(&place, "third.gz.partial")).expect("made");
    let refused = place.run(&["backup", "third.gz"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.err.contains("third.gz.partial cannot be written"), "{refused:?}");
}

#[test]
fn only_a_whole_backup_is_restored_and_a_broken_one_leaves_nothing() {
    let from = Place::new();
    let made = json_of(&from.run(&["business", "create", "Shop", "--json"]));
    let id = text(&made["business"], "id").to_owned();
    let file = path_of(&from, "good.gz");
    let good = file.to_str().expect("a path");
    let ended = from.run(&["backup", good]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("keys.toml is not in it"), "{ended:?}");
    let text = unpacked(&file);
    let packed = |text: &str| {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(text.as_bytes()).expect("packed");
        out.finish().expect("packed")
    };
    let bytes = fs::read(&file).expect("the backup");
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let last = text.lines().last().expect("a line").to_owned() + "\n";
    let newer = text.replacen("\"schema\":", "\"schema\":9", 1);
    let without_a_row = {
        let row = text.lines().find(|line| line.starts_with("[\"key_")).expect("a row of a key");
        text.replacen(&format!("{row}\n"), "", 1)
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no file of ours", b"hello".to_vec()),
        ("nothing", packed("")),
        ("cut in the middle", bytes[..bytes.len() / 2].to_vec()),
        ("cut before the last line", packed(&text.replacen(&last, "", 1))),
        ("a changed bit", flipped),
        ("a changed name", packed(&text.replacen("Shop", "Shed", 1))),
        ("a missing row", packed(&without_a_row)),
        ("something behind", packed(&format!("{text}{last}"))),
        ("a newer schema", packed(&newer)),
    ];
    let to = Place::new();
    for (what, bytes) in cases {
        let bad = path_of(&to, "bad.gz");
        fs::write(&bad, bytes).expect("written");
        let ended = to.run(&["restore", bad.to_str().expect("a path")]);
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
    }
    // The place is as empty as before.
    let ended = to.run(&["restore", good]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("Everybody has to sign in again"), "{ended:?}");
    give_key_file(&from, &to);
    let shown = to.run(&["business", "show", &id]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    // What is no file is named.
    fs::create_dir(path_of(&to, "folder")).expect("a folder");
    let folder = to.run(&["restore", "folder"]);
    assert_eq!(folder.code, Some(3), "{folder:?}");
    assert!(folder.err.contains("folder cannot be read: "), "{folder:?}");
    let used = Place::new();
    assert_eq!(used.run(&["business", "create", "Other"]).code, Some(0));
    let refused = used.run(&["restore", good]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    // There is nothing to back up where there is no database, and none is made.
    let empty = Place::new();
    let nothing = empty.run(&["backup", "nothing.gz"]);
    assert_eq!(nothing.code, Some(3), "{nothing:?}");
    assert!(nothing.err.contains("/trousseau-data/trousseau.db cannot be opened"), "{nothing:?}");
    assert!(nothing.err.contains("it may not be there") && !nothing.err.contains("disk"), "{nothing:?}");
    assert!(!path_of(&empty, "nothing.gz").exists() && !path_of(&empty, "trousseau-data").exists());
}

/// The permissions of what lies in the data folder, by name.
fn modes(place: &Place) -> BTreeMap<String, u32> {
    let files = fs::read_dir(path_of(place, "trousseau-data")).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
        (entry.file_name().into_string().expect("a name"), mode)
    });
    files.collect()
}

#[test]
fn a_database_is_for_its_owner_alone_also_in_a_folder_that_others_may_enter() {
    let open_folder = |place: &Place| {
        let folder = path_of(place, "trousseau-data");
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("ours");
    };
    let from = Place::new();
    open_folder(&from);
    let server = Server::start(&from, &[]);
    assert_eq!(from.run(&["business", "create", "Shop"]).code, Some(0));
    let made = modes(&from);
    assert!(made.contains_key("trousseau.db") && made.contains_key("trousseau.db-wal"), "{made:?}");
    assert!(made.values().all(|mode| *mode == 0o600), "{made:?}");
    assert_eq!(from.run(&["backup", "shop.gz"]).code, Some(0));
    drop(server);
    let to = Place::new();
    open_folder(&to);
    let file = path_of(&from, "shop.gz");
    assert_eq!(to.run(&["restore", file.to_str().expect("a path")]).code, Some(0));
    assert_eq!(modes(&to)["trousseau.db"], 0o600);
    // Whoever lets a group read it on purpose goes on doing so.
    let database = path_of(&from, "trousseau-data/trousseau.db");
    fs::set_permissions(&database, fs::Permissions::from_mode(0o640)).expect("ours");
    assert_eq!(from.run(&["business", "list"]).code, Some(0));
    assert_eq!(modes(&from)["trousseau.db"], 0o640);
}
