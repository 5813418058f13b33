//! The example `data_loader`: what it asks a table, and what it does without one.

use std::process::{Command, Output};

use tests::{Servers, example};

fn run(environment: &[(&str, &str)]) -> Output {
    let mut program = Command::new(example("data_loader"));
    program.env_clear().envs(environment.iter().copied());
    program.output().unwrap()
}

#[test]
fn each_author_is_asked_for_once() {
    let servers = Servers::start();
    let (postgres, redis) = (servers.postgres.url(), servers.redis.url());
    let environment = [
        ("WORKSHARING_POSTGRES_URL", &*postgres),
        ("WORKSHARING_REDIS_URL", &*redis),
    ];
    // With the values in PostgreSQL, too.
    for environment in [&environment[..], &environment[..1]] {
        let output = run(environment);
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{errors}");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "page 1: 1 queries for 30 authors",
                "page 2, with ten of the same authors: 1 queries for 20 authors",
                "page 1 again: 0 queries for 0 authors",
                "page 1 after one was renamed: 1 queries for 1 authors",
            ]
        );
        assert!(lines[4].ends_with("for 220 authors"), "{}", lines[4]);
    }
}

#[test]
fn without_a_table_it_says_what_it_wants() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("WORKSHARING_POSTGRES_URL"), "{errors}");
}
