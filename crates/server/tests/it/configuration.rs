//! The configuration from outside: precedence, unknown names, secrets.

use crate::process::{Ended, Place};

fn setting(ended: &Ended, name: &str) -> (String, String) {
    let json: serde_json::Value = serde_json::from_str(&ended.out).expect(&ended.err);
    let part = |part: &str| json[name][part].as_str().expect("text").to_owned();
    (part("value"), part("source"))
}

#[test]
fn the_file_yields_to_the_environment_and_both_to_flags() {
    let place = Place::new();
    std::fs::write(
        place.path().join("trousseau.toml"),
        "data_dir = \"from-file\"\nbrand = \"Atelier\"\n[log]\nlevel = \"warn\"\n",
    )
    .expect("written");
    let check = place.run(&["config", "check", "--json"]);
    assert_eq!(setting(&check, "data_dir"), ("from-file".to_owned(), "trousseau.toml".to_owned()));
    let mut command = place.command(&["config", "check", "--json"]);
    command.env("TROUSSEAU_DATA_DIR", "from-variable").env("TROUSSEAU_LOG__LEVEL", "debug");
    let check = Ended::of(command.output().expect("runs"));
    assert_eq!(setting(&check, "data_dir"), ("from-variable".to_owned(), "TROUSSEAU_DATA_DIR".to_owned()));
    assert_eq!(setting(&check, "log.level").0, "debug");
    assert_eq!(setting(&check, "brand").0, "Atelier");
    let check = Ended::of(command.args(["--data-dir", "from-flag"]).output().expect("runs"));
    assert_eq!(setting(&check, "data_dir"), ("from-flag".to_owned(), "--data-dir".to_owned()));
    assert_eq!(setting(&check, "key_file").0, "from-flag/keys.toml");
}

#[test]
fn unknown_names_are_refused_everywhere() {
    let place = Place::new();
    for (text, told) in [
        ("lisen = \"127.0.0.1:1\"", "line 1: unknown field `lisen`"),
        ("\n[tls]\ncert = \"a\"\nkye = \"b\"", "line 4: unknown field `kye`"),
        ("[profiles.mine]\nsecret = 1", "trousseau.toml"),
        ("listen = ", "line 1"),
    ] {
        std::fs::write(place.path().join("trousseau.toml"), text).expect("written");
        for command in [&["config", "check"][..], &["serve"]] {
            let ended = place.run(command);
            assert_eq!(ended.code, Some(2), "{text}: {}", ended.err);
            assert!(ended.err.contains(told), "{text}: {}", ended.err);
        }
    }
    std::fs::remove_file(place.path().join("trousseau.toml")).expect("removed");
    let ended = Ended::of(place.command(&["config", "check"]).env("TROUSSEAU_LISEN", "x").output().expect("runs"));
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("TROUSSEAU_LISEN"), "{}", ended.err);
    assert_eq!(place.run(&["config", "check", "--config", "nowhere.toml"]).code, Some(3));
    assert_eq!(place.run(&["config", "chekc"]).code, Some(2));
}

#[test]
fn an_address_that_is_none_is_told_how_one_is_written() {
    let place = Place::new();
    for name in ["TROUSSEAU_LISTEN", "TROUSSEAU_METRICS__LISTEN", "TROUSSEAU_EXT_AUTHZ__LISTEN"] {
        for text in ["localhost:8080", ":9090", "127.0.0.1", ""] {
            let ended = Ended::of(place.command(&["config", "check"]).env(name, text).output().expect("runs"));
            assert_eq!(ended.code, Some(2), "{name}={text}: {ended:?}");
            assert!(ended.err.contains(name) && ended.err.contains("such as 127.0.0.1:8080"), "{ended:?}");
        }
    }
}

#[test]
fn what_a_start_would_fail_on_is_found_by_a_check() {
    let place = Place::new();
    std::fs::write(place.path().join("address"), "postgres://user:correct-horse@db.example/keys\nand-more\n")
        .expect("written");
    for (name, value, told) in [
        ("TROUSSEAU_DATABASE_FILE", "address", "address holds more than one line"),
        ("TROUSSEAU_DATABASE", "sqlite:here.db?cache=shared", "sqlite:PATH"),
        ("TROUSSEAU_DATABASE", "postgres://db/keys?pooling=statement", "pooling is session or transaction"),
        ("TROUSSEAU_METRICS__LISTEN", "127.0.0.1:8080", "metrics.listen (from TROUSSEAU_METRICS__LISTEN): listen is"),
        ("TROUSSEAU_key_file", "keys", "TROUSSEAU_KEY_FILE"),
        ("trousseau_listen", "127.0.0.1:1", "TROUSSEAU_LISTEN"),
    ] {
        for command in [&["config", "check"][..], &["serve"]] {
            let ended = Ended::of(place.command(command).env(name, value).output().expect("runs"));
            assert_eq!(ended.code, Some(2), "{name}={value}: {ended:?}");
            assert!(ended.err.contains(told) && !ended.err.contains("correct-horse"), "{ended:?}");
        }
    }
    assert!(!place.path().join("trousseau-data").exists());
    // Ports that the system chooses are never the same.
    let mut command = place.command(&["config", "check"]);
    let ended = command.env("TROUSSEAU_LISTEN", "127.0.0.1:0").env("TROUSSEAU_METRICS__LISTEN", "127.0.0.1:0").output();
    assert_eq!(Ended::of(ended.expect("runs")).code, Some(0));
}

#[test]
fn a_password_is_never_shown() {
    let place = Place::new();
    let address = "postgres://user:correct-horse@db.example/keys";
    std::fs::write(place.path().join("address"), format!("{address}\n")).expect("written");
    for (name, value) in [("TROUSSEAU_DATABASE", address), ("TROUSSEAU_DATABASE_FILE", "address")] {
        let ended = Ended::of(place.command(&["config", "check"]).env(name, value).output().expect("runs"));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.contains("postgres://user:***@db.example/keys"), "{}", ended.out);
        assert!(ended.out.contains(name), "{}", ended.out);
        assert!(!format!("{ended:?}").contains("correct-horse"));
    }
    std::fs::write(
        place.path().join("trousseau.toml"),
        "database = \"postgres://user:correct-horse@db\"\nlisten = 1\n",
    )
    .expect("written");
    assert!(!format!("{:?}", place.run(&["config", "check"])).contains("correct-horse"));
}

#[test]
fn documents_need_neither_configuration_nor_folder() {
    let place = Place::new();
    std::fs::write(place.path().join("trousseau.toml"), "nonsense").expect("written");
    let document = place.run(&["openapi"]);
    assert_eq!(document.code, Some(0), "{}", document.err);
    assert!(document.out.starts_with('{') && document.out.ends_with("}\n"));
    assert!(place.run(&["completions", "bash"]).out.contains("trousseau"));
    let left: Vec<_> = std::fs::read_dir(place.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
