//! No text tells a password, and no other user may read or redirect what a directory holds. Case 34; numbers 10,
//! 11 and 34 of the issue on bounds.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::{Run, Servers, Setup, Worker, thread_names, whole};
use worksharing::WorkSharing;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");

/// No three of its characters come together by chance.
const SECRET: &str = "Zq7vXk2WpJ9sYb4h";

/// Neither the secret nor a part of it.
#[track_caller]
fn tells_nothing(what: &str, text: &str) {
    for at in 0..=SECRET.len() - 4 {
        let part = &SECRET[at..at + 4];
        assert!(!text.contains(part), "{what} tells {part}: {text}");
    }
}

// ---- 10: settings and errors.

#[test]
fn neither_settings_nor_runtimes_tell_a_password() {
    let builder = || {
        WorkSharing::builder()
            .postgres(format!("postgres://user:{SECRET}@localhost/db"))
            .redis(format!("redis://:{SECRET}@localhost"))
    };
    tells_nothing("a builder", &format!("{:?}", builder()));
    tells_nothing("a builder", &format!("{:#?}", builder()));
    let sharing = builder().build().unwrap();
    tells_nothing("a runtime", &format!("{sharing:?}"));
    let work = sharing.work::<u32>("key");
    tells_nothing("a piece of work", &format!("{work:?}"));
    let keyed = WorkSharing::builder().postgres(format!("host=localhost password={SECRET}"));
    tells_nothing("a builder", &format!("{keyed:?}"));
    tells_nothing("a runtime", &format!("{:?}", keyed.build().unwrap()));
}

#[test]
fn errors_about_urls_tell_no_password() {
    let postgres = [
        format!("postgres//user:{SECRET}@localhost/db"),
        format!("postgres:/user:{SECRET}@localhost/db"),
        format!("user:{SECRET}@localhost"),
        format!("user:{SECRET}://@localhost/db"),
        format!("postgres://user:{SECRET}@localhost:port/db"),
        format!("postgres://user:{SECRET}@localhost/db?what={SECRET}"),
        format!("postgres://user:{SECRET}@localhost/db?sslmode={SECRET}"),
        format!("host=localhost password={SECRET}://x"),
        format!("host=localhost password={SECRET}://x sslmode=never"),
        format!("host=localhost password='{SECRET}"),
        format!("password={SECRET}"),
        format!("host=localhost {SECRET}"),
        format!("postgres://user:{SECRET}%ZZ@localhost/db"),
        format!("mysql://user:{SECRET}@localhost/db"),
    ];
    let redis = [
        format!("default:{SECRET}@localhost"),
        format!("{SECRET}@localhost"),
        format!(":{SECRET}@localhost:6379"),
        format!("redis:/:{SECRET}@localhost"),
        format!("redis://:{SECRET}@localhost:port"),
        format!("redis://:{SECRET}@localhost/{SECRET}"),
        format!("redis://:{SECRET}@/0"),
        format!("redis://:{SECRET}%ZZ@localhost"),
        format!("rediss+x://:{SECRET}@localhost"),
    ];
    let built = postgres
        .iter()
        .map(|url| WorkSharing::builder().postgres(url))
        .chain(redis.iter().map(|url| {
            let locks = worksharing::lock::Local::new();
            WorkSharing::builder().redis(url).lock(locks)
        }));
    for (builder, url) in built.zip(postgres.iter().chain(&redis)) {
        match builder.build() {
            Ok(sharing) => tells_nothing(url, &format!("{sharing:?}")),
            Err(error) => {
                tells_nothing("Display", &error.to_string());
                tells_nothing("the chain", &whole(&error));
                tells_nothing("Debug", &format!("{error:?}"));
                tells_nothing("Debug", &format!("{error:#?}"));
            }
        }
    }
}

/// Servers that are not there, refuse the password, or take it: what is logged, at the finest level.
#[test]
fn neither_logs_nor_threads_tell_a_password() {
    let servers = Servers::start();
    let (postgres, redis) = (servers.postgres.port(), servers.redis.port());
    let url = |scheme: &str, user: &str, port: u16| {
        Some(format!("{scheme}://{user}:{SECRET}@127.0.0.1:{port}"))
    };
    let setups = [
        // A Redis without a password refuses one, PostgreSQL takes any.
        (
            url("postgres", "postgres", postgres),
            url("redis", "", redis),
        ),
        (
            url("postgres", "nobody", postgres),
            url("redis", "who", redis),
        ),
        (url("postgres", "postgres", 9), url("redis", "", 9)),
    ];
    for (postgres, redis) in setups {
        let setup = Setup {
            postgres,
            redis,
            log: Some("trace".to_owned()),
            ..Setup::default()
        };
        let mut worker = Worker::start(WORKER, &setup);
        let checked = worker.check().unwrap_or_default();
        tells_nothing("check()", &checked);
        worker.run(&Run::of("asked", Duration::from_millis(10)));
        worker.wait(1);
        if let Some(trouble) = worker.invalidate("asked") {
            tells_nothing("invalidate()", &trouble);
        }
        let logged = worker.logged();
        assert!(!logged.is_empty());
        tells_nothing("the log", &logged.join("\n"));
        tells_nothing("a thread", &thread_names(worker.pid()).join("\n"));
    }
}

// ---- 11: directories.

/// Everything below a directory, itself included.
fn everything_in(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(everything_in(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn files_of_a_directory_are_its_owners_alone() {
    let parent = tempfile::TempDir::new().unwrap();
    let directory = parent.path().join("shared");
    let sharing = WorkSharing::in_directory(&directory).unwrap();
    sharing.check().unwrap();
    sharing.work("private").run_blocking(|| {
        // While it is computed its lock file is there, too.
        let paths = everything_in(&directory);
        assert!(paths.len() > 2, "{paths:?}");
        let open = |path: &PathBuf| path.metadata().unwrap().mode() & 0o077 != 0;
        let open: Vec<_> = paths.iter().filter(|path| open(path)).collect();
        assert!(open.is_empty(), "others may enter {open:?}");
    });
    let paths = everything_in(&directory);
    for path in paths {
        let mode = path.metadata().unwrap().mode() & 0o777;
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{mode:o} of {}", path.display());
    }
}

/// Whether a runtime in the directory is refused, at the latest when it is checked.
fn is_refused(directory: &Path) -> Option<String> {
    let checked = WorkSharing::in_directory(directory).and_then(|sharing| sharing.check());
    checked.err().map(|error| whole(&error))
}

#[test]
fn directory_of_somebody_else_is_refused() {
    let parent = tempfile::TempDir::new().unwrap();
    let directory = parent.path().join("theirs");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    // Only root can make one.
    if chown(&directory, Some(65_534), Some(65_534)).is_err() {
        eprintln!("not root: there is no directory of somebody else to be refused");
        return;
    }
    let refusal = is_refused(&directory).expect("a foreign directory is accepted");
    eprintln!("refused: {refusal}");
    assert!(
        ["own", "another user"]
            .iter()
            .any(|word| refusal.contains(word)),
        "{refusal}"
    );
}

#[test]
fn links_in_a_directory_are_not_followed() {
    let parent = tempfile::TempDir::new().unwrap();
    let (directory, target) = (parent.path().join("shared"), parent.path().join("target"));
    let values = directory.join("values");
    fs::create_dir_all(&values).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&values, fs::Permissions::from_mode(0o700)).unwrap();
    for number in 0..16 {
        symlink(&target, values.join(format!("lock-{number:x}"))).unwrap();
    }
    if let Ok(sharing) = WorkSharing::in_directory(&directory) {
        for number in 0..100 {
            let value = sharing
                .work(format!("key {number}"))
                .run_blocking(|| number);
            assert_eq!(value, number);
        }
    }
    assert!(!target.exists(), "a link was followed");
}

// ---- 34: two applications must not meet by accident.

#[test]
fn colon_in_a_namespace_is_refused() {
    let refused = WorkSharing::builder().namespace("shop:de").build();
    let complaint = whole(&refused.expect_err("it is accepted"));
    eprintln!("refused: {complaint}");
    assert!(
        complaint.contains("colon") || complaint.contains("`:`"),
        "{complaint}"
    );
    for namespace in ["shop", "shop-de", "shop.de", "shop/de", "ショップ"] {
        WorkSharing::builder().namespace(namespace).build().unwrap();
    }
}
