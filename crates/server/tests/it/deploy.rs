//! What lies in `deploy/` fits the program: no dashboard, alert or page names a metric that is not there, and every
//! variable that a recipe sets is a setting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trousseau_web::telemetry::{METRICS, MetricKind};

use crate::process::{Place, Server};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The words of a text that begin like our metrics, with what follows each.
fn named(text: &str) -> Vec<(&str, &str)> {
    text.match_indices("trousseau_")
        .filter(|(at, _)| !text[..*at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_'))
        .map(|(at, _)| {
            let rest = &text[at..];
            let end = rest.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(rest.len());
            rest.split_at(end)
        })
        .collect()
}

/// The metric that a series belongs to.
fn metric_of(series: &str) -> Option<&'static trousseau_web::telemetry::Metric> {
    METRICS.iter().find(|metric| match metric.kind {
        MetricKind::Histogram => {
            ["_bucket", "_sum", "_count"].iter().any(|ending| series.strip_suffix(ending) == Some(metric.name))
        }
        MetricKind::Counter | MetricKind::Gauge => series == metric.name,
    })
}

/// What is wrong with a query: a metric that is not exported, or a label that it does not have.
fn wrong_with(query: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut labels: BTreeSet<&str> = ["instance", "job", "le"].into();
    for (series, rest) in named(query) {
        let Some(metric) = metric_of(series) else {
            wrong.push(format!("{series} is no metric"));
            continue;
        };
        labels.extend(metric.labels);
        let Some((matchers, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { continue };
        // A comma in a value would part it; none of ours has one.
        for matcher in matchers.split(',') {
            let label = matcher.split(['=', '!']).next().unwrap_or_default().trim();
            if !metric.labels.contains(&label) && !["instance", "job", "le"].contains(&label) {
                wrong.push(format!("{series} has no label {label}"));
            }
        }
    }
    for (at, _) in query.match_indices(" by (") {
        let (list, _) = query[at + " by (".len()..].split_once(')').expect("a list ends");
        let unknown = list.split(',').map(str::trim).filter(|label| !labels.contains(label));
        wrong.extend(unknown.map(|label| format!("by {label}, which nothing here has")));
    }
    wrong
}

#[test]
fn a_query_that_names_what_is_not_there_is_found() {
    for bad in [
        "trousseau_http_request_total",
        "rate(trousseau_http_request_duration_seconds[5m])",
        "trousseau_network_failing_bucket",
        "trousseau_http_requests_total{code=\"200\"}",
        "sum by (endpoint) (trousseau_network_failing)",
    ] {
        assert!(!wrong_with(bad).is_empty(), "{bad}");
    }
    for good in [
        "up{job=\"trousseau\"}",
        "sum by (le, route) (rate(trousseau_http_request_duration_seconds_bucket{method!=\"GET\"}[5m]))",
    ] {
        assert_eq!(wrong_with(good), Vec::<String>::new());
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_are_exported() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/trousseau.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let queries: Vec<&str> = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target["expr"].as_str().expect("a query"))
        .collect();
    assert!(queries.len() > 15, "{}", queries.len());
    for query in queries {
        assert_eq!(wrong_with(query), Vec::<String>::new(), "{query}");
    }
    let variables = dashboard["templating"]["list"].to_string();
    for (series, _) in named(&variables) {
        assert!(metric_of(series).is_some(), "{series}");
    }
}

#[test]
fn alerts_ask_for_metrics_that_are_exported_and_pages_name_no_other() {
    let alerts = read("deploy/prometheus/alerts.yaml");
    let rules: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 8, "{}", rules.len());
    for rule in rules {
        let (_, rest) = rule.split_once("expr:").expect("a rule has a query");
        let (query, _) = rest.split_once("labels:").expect("and labels");
        assert_eq!(wrong_with(query), Vec::<String>::new(), "{rule}");
    }
    // A network whose sums never were compared to the end has no time of that, and is told of all the same.
    let (_, rule) = alerts.split_once("- alert: TrousseauSumsNotCompared").expect("the rule");
    let (query, _) = rule.split_once("labels:").expect("and labels");
    let never = "unless max by (network) (trousseau_reconciliation_finished_timestamp_seconds)";
    assert!(query.contains(never) && query.contains("for: "), "{query}");
    // What the page says to alert on has a rule.
    for line in read("docs/operations.md").lines().filter(|line| line.contains("alert ")) {
        for (series, _) in named(line) {
            assert!(alerts.contains(series), "{line}");
        }
    }
    for page in ["docs/operations.md", "docs/three-nodes.md"] {
        let text = read(page);
        for (series, _) in named(&text) {
            let known = metric_of(series).is_some() || METRICS.iter().any(|metric| metric.name == series);
            assert!(known, "{page}: {series}");
        }
    }
}

/// What stands before the name of a metric that is counted.
const COUNTING: [&str; 5] = ["counter!(", "gauge!(", "histogram!(", "of_network(", "of_endpoint("];

#[test]
fn every_metric_is_described_and_every_description_is_of_a_metric() {
    let mut files = Vec::new();
    for of in ["domain", "store", "service", "web", "server"] {
        sources(&root().join("crates").join(of).join("src"), &mut files);
    }
    let mut used: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.ends_with("web/src/telemetry.rs")) {
        let text = fs::read_to_string(file).expect("text");
        for (at, _) in text.match_indices("\"trousseau_") {
            let before = text[..at].trim_end();
            if COUNTING.iter().any(|call| before.ends_with(call)) {
                let (name, _) = text[at + 1..].split_once('"').expect("a text ends");
                used.insert(name.to_owned(), file.clone());
            }
        }
    }
    let described: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(described.len(), METRICS.len(), "one is there twice");
    for (name, file) in &used {
        assert!(described.contains(name.as_str()), "{name} in {} is not in telemetry::METRICS", file.display());
    }
    for name in described {
        assert!(used.contains_key(name), "{name} is described and nobody counts it");
    }
}

#[test]
fn what_is_told_of_a_network_is_withdrawn_where_it_is_not_watched_any_more() {
    let watch = read("crates/service/src/networks/watch.rs");
    let gauges = METRICS.iter().filter(|metric| metric.kind == MetricKind::Gauge);
    for gauge in gauges.filter(|gauge| gauge.name.starts_with("trousseau_network_")) {
        let named = watch.matches(&format!("\"{}\"", gauge.name)).count();
        assert!(named >= 2, "{} is set and not withdrawn", gauge.name);
    }
}

#[test]
fn a_server_exports_what_is_described_with_its_labels() {
    let place = Place::new();
    let server = Server::start_with(&place, &[("TROUSSEAU_METRICS__LISTEN", "127.0.0.1:0")], &[]);
    server.get("/livez", "");
    let log = server.log();
    let (_, rest) = log.split_once("serving metrics server.address=").expect("an address");
    let address = rest.split_whitespace().next().expect("an address").parse().expect("an address");
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = crate::process::exchange(address, request);
    let mut seen = BTreeSet::new();
    for line in answer.lines().filter(|line| line.starts_with("trousseau_")) {
        let (series, rest) = named(line)[0];
        let metric = metric_of(series).unwrap_or_else(|| panic!("{line}"));
        seen.insert(metric.name);
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(labels, _)| labels);
        for label in labels.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name) {
            assert!(metric.labels.contains(&label) || label == "le", "{line}");
        }
    }
    // What counts without labels is there before there is anything to count: its first rise is one from nothing.
    for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Counter && metric.labels.is_empty()) {
        assert!(seen.contains(metric.name), "{} is not there from the start", metric.name);
    }
    assert!(seen.contains("trousseau_http_requests_total"), "{answer}");
    assert!(seen.contains("trousseau_http_request_duration_seconds"), "{answer}");
}

/// The variables that a recipe sets.
fn variables(path: &str) -> Vec<(String, String)> {
    let text = read(path);
    let mut found = Vec::new();
    for (at, _) in text.match_indices("TROUSSEAU_") {
        let rest = &text[at..];
        let end = rest.find(|next: char| !next.is_ascii_uppercase() && next != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        // `NAME=value`, or in YAML the line after it.
        let value = rest.strip_prefix('=').or_else(|| rest.trim_start().strip_prefix("value: "));
        let value = value.unwrap_or_else(|| panic!("{path}: {name} has no value"));
        let value = value.split_whitespace().next().expect("a value");
        found.push((name.to_owned(), value.to_owned()));
    }
    found
}

#[test]
fn every_variable_of_a_recipe_is_a_setting() {
    for path in
        ["deploy/systemd/trousseau.service", "deploy/container/Containerfile", "deploy/kubernetes/trousseau.yaml"]
    {
        let place = Place::new();
        // What a recipe takes from a secret of the cluster.
        let files = [
            ("TROUSSEAU_DATABASE_FILE", "database-url", "postgres://trousseau@db.example/trousseau\n"),
            ("TROUSSEAU_SMTP__URL_FILE", "smtp-url", "smtps://trousseau:secret@mail.example\n"),
        ]
        .map(|(variable, name, content)| {
            let file = place.path().join(name);
            fs::write(&file, content).expect("written");
            (variable, file.to_str().expect("a path").to_owned())
        });
        let mut command = place.command(&["config", "check", "--json"]);
        let variables = variables(path);
        assert!(!variables.is_empty(), "{path}");
        for (name, value) in &variables {
            let file = files.iter().find(|(variable, _)| variable == name).map(|(_, file)| file);
            command.env(name, file.unwrap_or(value));
        }
        let ended = crate::process::Ended::of(command.output().expect("it runs"));
        assert_eq!(ended.code, Some(0), "{path}: {ended:?}");
        let told: Value = serde_json::from_str(&ended.out).expect("JSON");
        assert!(told.to_string().contains("TROUSSEAU_"), "{path}: {told}");
    }
}

#[test]
fn the_manifests_ask_for_what_a_node_needs() {
    let manifests = read("deploy/kubernetes/trousseau.yaml");
    for needed in [
        "replicas: 3",
        "kind: PodDisruptionBudget",
        "minAvailable: 2",
        "path: /readyz",
        "path: /livez",
        "readOnlyRootFilesystem: true",
        "runAsNonRoot: true",
        "secretName: trousseau",
    ] {
        assert!(manifests.contains(needed), "{needed}");
    }
    // systemd leaves the folder of the settings to root, and the unit runs as somebody else.
    let unit = read("deploy/systemd/trousseau.service");
    assert!(unit.contains("User=trousseau") && unit.contains("ConfigurationDirectoryMode=0755"), "{unit}");
    let recipe = read("deploy/container/Containerfile");
    let users: Vec<&str> = recipe.lines().filter(|line| line.starts_with("USER ")).collect();
    assert_eq!(users, ["USER 65532:65532"]);
}
