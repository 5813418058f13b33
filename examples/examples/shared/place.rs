//! Where `top` and `dashboard` look: at what the environment names, and else at a directory of this clone, which is
//! the same for both.

use std::env;
use std::path::Path;

use worksharing::{Error, WorkSharing};

/// What [`WorkSharing::from_env`] reads. A namespace alone names no place.
pub(crate) const VARIABLES: [&str; 5] = [
    "WORKSHARING_POSTGRES_URL",
    "DATABASE_URL",
    "WORKSHARING_REDIS_URL",
    "REDIS_URL",
    "WORKSHARING_DIRECTORY",
];

/// The directory where the environment names nothing.
pub(crate) const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/worksharing");

/// The variables that name a place, by name: their values hold passwords.
pub(crate) fn named() -> Vec<&'static str> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    VARIABLES.into_iter().filter(is_set).collect()
}

pub(crate) fn open() -> Result<WorkSharing, Error> {
    if named().is_empty() {
        WorkSharing::in_directory(Path::new(DIRECTORY))
    } else {
        WorkSharing::from_env()
    }
}

/// In words, for the one who looks.
pub(crate) fn describe() -> String {
    match &*named() {
        [] => "files of this machine, in target/worksharing of the clone".to_owned(),
        ["WORKSHARING_DIRECTORY"] => "files of this machine, in WORKSHARING_DIRECTORY".to_owned(),
        names => format!("the servers of {}", names.join(" and ")),
    }
}
