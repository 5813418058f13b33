//! The page on operations, and the Grafana board, know what the source says. In both directions.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/operations.md")).unwrap()
}

fn sources(folder: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            // What tests of a module say is said to nobody.
            all.push(
                text.split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
}

/// The text of the first literal from here on, before the closing parenthesis.
fn literal(call: &str) -> Option<String> {
    let (mut depth, mut text, mut chars) = (1, None::<String>, call.chars());
    while let Some(char) = chars.next() {
        match (&mut text, char) {
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, '"') => text = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => return text,
            (Some(text), '\\') => match chars.next()? {
                // A line goes on.
                '\n' => {
                    let rest = chars.as_str().trim_start();
                    chars = rest.chars();
                }
                other => text.push(other),
            },
            (Some(text), other) => text.push(other),
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

/// What the source logs: each message with its level.
fn logged() -> BTreeMap<String, String> {
    let mut all = Vec::new();
    sources(&root().join("src"), &mut all);
    let calls = [
        ("tracing::error!(", "ERROR"),
        ("tracing::warn!(", "WARN"),
        ("tracing::info!(", "INFO"),
        ("tracing::debug!(", "DEBUG"),
        ("say_once!(", "WARN"),
        ("begins!(", "WARN"),
        ("ends!(", "INFO"),
        ("say!(", ""),
    ];
    let mut logged = BTreeMap::new();
    for text in &all {
        for (call, level) in calls {
            for (_, rest) in text
                .match_indices(call)
                .map(|(at, _)| text.split_at(at + call.len()))
            {
                let level = match level {
                    "" => rest.trim_start().split(',').next().unwrap().to_uppercase(),
                    level => level.to_owned(),
                };
                if let Some(message) = literal(rest) {
                    logged.insert(message, level);
                }
            }
        }
    }
    logged
}

#[test]
fn every_line_of_the_log_is_on_the_page() {
    let logged = logged();
    assert!(logged.len() > 30, "{}", logged.len());
    let row = |line: &str| -> Option<(String, String)> {
        let (level, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
        // With code in it, it stands between two.
        let (message, _) = match rest.strip_prefix("` ") {
            Some(rest) => rest.split_once(" `` |")?,
            None => rest.split_once("` |")?,
        };
        let is_level = ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level);
        is_level.then(|| (message.to_owned(), level.to_owned()))
    };
    let explained: BTreeMap<_, _> = page().lines().filter_map(row).collect();
    assert_eq!(explained, logged);
}

/// The names of metrics in the source, and the labels.
fn metrics() -> (BTreeSet<String>, BTreeSet<String>) {
    let source = fs::read_to_string(root().join("src/events/meters.rs")).unwrap();
    let words = source.split('"').skip(1).step_by(2);
    let names = words.filter(|word| word.starts_with("worksharing_"));
    let labels = ["function", "outcome"].map(str::to_owned);
    for label in &labels {
        assert!(source.contains(&format!("\"{label}\"")), "{label}");
    }
    (names.map(str::to_owned).collect(), labels.into())
}

/// The words of a text that may be names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
}

#[test]
fn every_metric_is_on_the_page() {
    let (names, _) = metrics();
    assert_eq!(names.len(), 8);
    let page = page();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `worksharing_"));
    let rows = rows.filter_map(|row| row.split('`').next());
    let explained: BTreeSet<_> = rows.map(|name| format!("worksharing_{name}")).collect();
    assert_eq!(explained, names);
}

/// Every text in a JSON value, with the name that it has there.
fn texts<'a>(value: &'a serde_json::Value, name: &'a str, all: &mut Vec<(&'a str, &'a str)>) {
    match value {
        serde_json::Value::String(text) => all.push((name, text)),
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| texts(value, name, all));
        }
        serde_json::Value::Object(values) => {
            values
                .iter()
                .for_each(|(name, value)| texts(value, name, all));
        }
        _ => {}
    }
}

#[test]
fn grafana_board_asks_for_what_there_is() {
    let path = root().join("../examples/grafana.json");
    let board: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (names, labels) = metrics();
    let mut all = Vec::new();
    texts(&board, "", &mut all);
    let mut asked = BTreeSet::new();
    for (field, text) in all {
        if !["expr", "query", "definition"].contains(&field) {
            continue;
        }
        for name in words(text).filter(|word| word.starts_with("worksharing_")) {
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(name);
            assert!(names.contains(name), "there is no {name}: {text}");
            asked.insert(name.to_owned());
        }
        // Labels stand before `=`, and behind `by`. Those of Prometheus are its own.
        let selected = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next());
        let selected = selected.flat_map(|list| list.split(',')).filter_map(|it| {
            let end = it.find(['=', '!'])?;
            Some(it[..end].trim())
        });
        let grouped = text
            .split("by (")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let grouped = grouped.flat_map(|list| list.split(',')).map(str::trim);
        for label in selected.chain(grouped) {
            let is_known = labels.contains(label) || ["instance", "job", "le"].contains(&label);
            assert!(is_known, "there is no label {label}: {text}");
        }
    }
    assert_eq!(asked, names, "the board shows them all");
    // Its outcomes are ours, too.
    let source = fs::read_to_string(root().join("src/events/outcome.rs")).unwrap();
    let mut outcomes = Vec::new();
    texts(&board, "", &mut outcomes);
    let listed = outcomes.iter().filter(|(field, _)| *field == "expr");
    for (_, text) in listed {
        let of_label = text.split("outcome=").skip(1);
        for outcome in
            of_label.flat_map(|rest| rest.trim_start_matches(['~', '"']).split('"').take(1))
        {
            for one in outcome.split('|') {
                assert!(
                    source.contains(&format!("\"{one}\"")),
                    "there is no outcome {one}"
                );
            }
        }
    }
}
