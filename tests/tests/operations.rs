//! What the page on operations tells to type in `psql` shows what it says that it shows.

use std::time::Duration;

use postgres::{Client, SimpleQueryMessage};
use tests::{Mesh, Run, Servers, wait_until};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(20);
const PAGE: &str = include_str!("../../worksharing/docs/operations.md");

/// The statements of a section.
fn statements(section: &str) -> Vec<String> {
    let (_, rest) = PAGE.split_once(section).expect("the section");
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("```sql\n").skip(1);
    let lines = blocks.flat_map(|rest| rest.split("```").next().unwrap().lines());
    let code = lines.map(|line| line.split("--").next().unwrap());
    let code = code.collect::<Vec<_>>().join("\n");
    let statements = code.split(';').map(|text| text.trim().to_owned());
    statements.filter(|text| !text.is_empty()).collect()
}

/// The rows, each as its values beside each other.
fn rows(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = client
        .simple_query(sql)
        .unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|at| row.get(at).unwrap_or("null").to_owned());
            Some(values.collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

#[test]
fn statements_for_looking_by_hand_show_who_computes_and_who_waits() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(2, WORKER, &servers.setup());
    let run = Run::of("report:2024:DE", Duration::from_secs(60));
    mesh.workers[0].run(&run);
    mesh.wait_for_leader("report:2024:DE");
    mesh.workers[1].run(&run);
    let mut psql = servers.postgres.connect();
    let statements = statements("\n## What is computed, and by whom");
    let [computed, locks, holder] = &statements[..] else {
        panic!("{statements:#?}")
    };
    wait_until(LIMIT, "it is told of", || {
        servers.postgres.shown_interest() == 1
            && psql
                .simple_query("SELECT 1 FROM worksharing_computing")
                .is_ok()
            && rows(&mut psql, computed).len() == 1
    });
    let computed = rows(&mut psql, computed);
    let process = format!(" {} ", mesh.workers[0].pid());
    assert!(
        computed[0].starts_with("report:2024:DE work "),
        "{computed:?}"
    );
    assert!(computed[0].contains(&process), "{computed:?}");
    let hex = worksharing::Key::new("report:2024:DE").hex();
    let locks = rows(&mut psql, locks);
    assert_eq!(locks.len(), 2, "{locks:?}");
    assert!(
        locks[0].starts_with(&format!("c{} 1 0 ", &hex[17..])),
        "{locks:?}"
    );
    assert!(
        locks[1].starts_with(&format!("d{} 0 1 ", &hex[17..])),
        "{locks:?}"
    );
    assert_eq!(rows(&mut psql, holder).len(), 1);
}

#[test]
fn role_with_the_rights_of_the_page_has_all_it_needs() {
    let servers = Servers::start();
    let mut admin = servers.postgres.connect();
    admin
        .batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    // The tables are there, made by their owner.
    let owner = worksharing::WorkSharing::builder().postgres(servers.postgres.url());
    owner.build().unwrap().check().unwrap();
    let statements = statements("\n## Connections and rights").into_iter();
    let statements = statements.map(|sql| sql.replace("ON DATABASE shop", "ON DATABASE postgres"));
    for sql in statements {
        // Each way is tried by itself.
        if !sql.contains("ON SCHEMA") && !sql.contains("worksharing_leases") {
            admin
                .batch_execute(&sql)
                .unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        }
    }
    let app = worksharing::WorkSharing::builder().postgres(servers.postgres.url_for("app"));
    app.build().unwrap().check().unwrap();
}
