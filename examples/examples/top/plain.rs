//! One list, for a pipe or a file.

use std::io::{self, Write as _};

use crate::text::{harmless, lasting};
use crate::{Trouble, place};

pub(crate) fn write_once() -> Result<(), Trouble> {
    let mut list = place::open()?.computing_blocking()?;
    list.sort_by_key(|computation| std::cmp::Reverse(computation.running_for));
    let mut out = io::stdout().lock();
    for row in &list {
        writeln!(
            out,
            "{}\t{} waiting\t{}\t{}\t{} on {}",
            lasting(row.running_for),
            row.waiting,
            harmless(&row.key),
            harmless(&row.function),
            row.process,
            harmless(&row.host),
        )?;
    }
    if list.is_empty() {
        writeln!(out, "Nothing is being computed.")?;
    }
    Ok(())
}
