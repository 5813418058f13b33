//! Shares values of a type that slices what it reads without looking, in the folder that is its first argument.
//! Prints for each call what it returned and whether it was computed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use worksharing::{Error, WorkSharing};

/// A country and a number: `DE17`. Panics at anything shorter.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(try_from = "String", into = "String")]
struct Code {
    country: String,
    number: u32,
}

impl TryFrom<String> for Code {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(Self {
            country: text[..2].to_owned(),
            number: text[2..].parse()?,
        })
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        format!("{}{}", code.country, code.number)
    }
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Report {
    code: Code,
    codes: BTreeMap<String, Vec<(Code, Option<Code>)>>,
}

fn main() -> Result<(), Error> {
    let folder: PathBuf = std::env::args_os().nth(1).unwrap_or_default().into();
    let sharing = WorkSharing::in_directory(folder)?;
    let code = |number| Code {
        country: "DE".to_owned(),
        number,
    };
    let codes = [(
        "all".to_owned(),
        vec![(code(2), None), (code(3), Some(code(4)))],
    )];
    let report = Report {
        code: code(1),
        codes: codes.into(),
    };
    share(&sharing, "report", &report);
    share(&sharing, "code", &code(5));
    Ok(())
}

fn share<T: Serialize + DeserializeOwned + Clone + PartialEq>(
    sharing: &WorkSharing,
    key: &str,
    value: &T,
) {
    let computed = Cell::new(false);
    let shared = sharing.work(key).run_blocking(|| {
        computed.set(true);
        value.clone()
    });
    println!(
        "{key} right={} computed={}",
        shared == *value,
        computed.get()
    );
}
