//! Both engines have the same tables, columns, keys and indexes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use trousseau_store::testing::TestDatabase;

const SQLITE_COLUMNS: &str = "SELECT t.name || '.' || c.name || ' ' || lower(c.type) || \
    CASE WHEN c.\"notnull\" = 1 THEN ' not null' ELSE '' END \
    FROM sqlite_master t, pragma_table_info(t.name) c \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx%' ORDER BY 1";
const POSTGRES_COLUMNS: &str = "SELECT table_name || '.' || column_name || ' ' || \
    CASE data_type WHEN 'bigint' THEN 'integer' WHEN 'bytea' THEN 'blob' ELSE data_type END || \
    CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END COLLATE \"C\" \
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%' ORDER BY 1";

// Indexes, those of unique constraints included, but for SQLite's integer primary keys, which have none.
const SQLITE_INDEXES: &str = "SELECT t.name || CASE WHEN i.\"unique\" = 1 THEN ' unique' ELSE '' END || \
    CASE WHEN i.partial = 1 THEN ' partial' ELSE '' END || \
    ' (' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)) || ')' \
    FROM sqlite_master t, pragma_index_list(t.name) i \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx%' \
    UNION ALL SELECT t.name || ' unique (' || c.name || ')' FROM sqlite_master t, pragma_table_info(t.name) c \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx%' \
    AND c.pk = 1 AND c.type = 'INTEGER' ORDER BY 1";
const POSTGRES_INDEXES: &str = "SELECT t.relname || CASE WHEN i.indisunique THEN ' unique' ELSE '' END || \
    CASE WHEN i.indpred IS NOT NULL THEN ' partial' ELSE '' END || ' (' || \
    (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place) \
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) || ')' COLLATE \"C\" \
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace \
    WHERE n.nspname = 'public' AND t.relname NOT LIKE '\\_sqlx%' ORDER BY 1";

const SQLITE_PRIMARY: &str = "SELECT t.name || ' (' || (SELECT group_concat(name, ', ') FROM \
    (SELECT name FROM pragma_table_info(t.name) WHERE pk > 0 ORDER BY pk)) || ')' FROM sqlite_master t \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx%' ORDER BY 1";
const POSTGRES_PRIMARY: &str = "SELECT t.relname || ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY k.place) \
    FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place) \
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) || ')' COLLATE \"C\" \
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace \
    WHERE n.nspname = 'public' AND i.indisprimary AND t.relname NOT LIKE '\\_sqlx%' ORDER BY 1";

const SQLITE_FOREIGN: &str = "SELECT t.name || '.' || f.\"from\" || ' -> ' || f.\"table\" || '.' || f.\"to\" \
    FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table' ORDER BY 1";
const POSTGRES_FOREIGN: &str = "SELECT t.relname || '.' || a.attname || ' -> ' || f.relname || '.' || b.attname \
    COLLATE \"C\" FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid \
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1] \
    JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = c.confkey[1] WHERE c.contype = 'f' ORDER BY 1";

const SQLITE_CHECKS: &str = "SELECT name || ' ' || CAST((length(sql) - length(replace(sql, 'CHECK (', ''))) / 7 AS TEXT) \
    FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx%' ORDER BY 1";
const POSTGRES_CHECKS: &str = "SELECT t.relname || ' ' || CAST(COUNT(c.oid) AS TEXT) COLLATE \"C\" FROM pg_class t \
    JOIN pg_namespace n ON n.oid = t.relnamespace \
    LEFT JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'c' \
    WHERE n.nspname = 'public' AND t.relkind = 'r' AND t.relname NOT LIKE '\\_sqlx%' GROUP BY t.relname ORDER BY 1";

#[tokio::test]
async fn the_schemas_of_both_engines_agree() {
    let Some(server) = TestDatabase::postgres_server() else {
        return;
    };
    let (sqlite, postgres) = (TestDatabase::sqlite().await, TestDatabase::postgres(&server).await);
    let questions = [
        ("columns", SQLITE_COLUMNS, POSTGRES_COLUMNS),
        ("indexes", SQLITE_INDEXES, POSTGRES_INDEXES),
        ("primary keys", SQLITE_PRIMARY, POSTGRES_PRIMARY),
        ("foreign keys", SQLITE_FOREIGN, POSTGRES_FOREIGN),
        ("checks", SQLITE_CHECKS, POSTGRES_CHECKS),
    ];
    for (what, ours, theirs) in questions {
        let (mut one, mut other) = (sqlite.texts(ours).await, postgres.texts(theirs).await);
        one.sort();
        other.sort();
        assert!(!one.is_empty(), "{what}");
        assert_eq!(one, other, "{what}");
    }
    // Ids and words sort bytewise on both.
    let other_collation = postgres
        .texts(
            "SELECT attname::text FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid \
                JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_collation c ON c.oid = a.attcollation \
                WHERE n.nspname = 'public' AND t.relkind = 'r' AND t.relname NOT LIKE '\\_sqlx%' \
                AND c.collname <> 'C'",
        )
        .await;
    assert!(other_collation.is_empty(), "{other_collation:?}");
}

/// A database that has run a migration refuses to start with another one of its number, so none that was ever on the
/// main line may change: what it lacks comes with a later one. `sha256sum */*.sql > checksums.sha256` adds that.
#[test]
fn no_migration_changes_once_it_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let listed = fs::read_to_string(folder.join("checksums.sha256")).expect("the list");
    let listed: BTreeMap<&str, &str> =
        listed.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect();
    let mut there = 0;
    for engine in ["postgres", "sqlite"] {
        for file in fs::read_dir(folder.join(engine)).expect("a folder") {
            let path = file.expect("a file").path();
            let name = format!("{engine}/{}", path.file_name().expect("a name").to_str().expect("ASCII"));
            let sum = Sha256::digest(fs::read(&path).expect("text"));
            let sum = sum.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            assert_eq!(listed.get(name.as_str()).copied(), Some(sum.as_str()), "{name}");
            there += 1;
        }
    }
    assert_eq!(there, listed.len());
}
