//! Where the runtime crate is, if `crate` does not say.

use std::env;
use std::path::PathBuf;

use proc_macro2::Span;

use crate::args::Args;
use crate::mistakes::Mistakes;

/// The compiler would say that it could not find `worksharing`, and not what to write. Without Cargo it
/// is left to that.
pub(crate) fn check_crate(args: &Args, mistakes: &mut Mistakes) {
    if args.krate.is_some() {
        return;
    }
    // A script is its own manifest.
    let script = env::var_os("CARGO_MANIFEST_PATH").map(PathBuf::from);
    let folder = || env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let path = script.or_else(|| Some(folder()?.join("Cargo.toml")));
    let manifest = path.and_then(|path| std::fs::read_to_string(path).ok());
    if let Some(advice) = manifest.as_deref().and_then(advice) {
        mistakes.at(Span::call_site(), advice);
    }
}

/// What to write in a package whose manifest nowhere has the name `worksharing`.
fn advice(manifest: &str) -> Option<&'static str> {
    // The end of a path is no name, either.
    let in_word = |c: char| c.is_alphanumeric() || "-_/".contains(c);
    let mut renamed = false;
    for (at, name) in manifest.match_indices("worksharing") {
        let (before, after) = (&manifest[..at], &manifest[at + name.len()..]);
        if !before.ends_with(in_word) && !after.starts_with(in_word) {
            // `package = "worksharing"`
            let key = before.trim_end_matches(['"', '\'', '=', ' ']);
            if !key.ends_with("package") {
                return None;
            }
            renamed = true;
        }
    }
    Some(if renamed {
        "`worksharing` has another name in Cargo.toml: write `crate = that_name`"
    } else {
        "Cargo.toml does not name `worksharing`, which the expansion needs: add it, or, where another crate \
         exports it, write `crate = path::to::worksharing`"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_names_it_needs_no_advice() {
        let manifests = [
            "[dependencies]\nworksharing = \"0.1\"",
            "[dev-dependencies.worksharing]\nversion = \"0.1\"",
            "[dependencies]\nworksharing.workspace = true",
            "[package]\nname = \"worksharing\"",
            "[dependencies]\nworksharing = { path = \"../worksharing\" }",
            "[target.'cfg(unix)'.dependencies]\n\"worksharing\" = { version = \"0.1\" }",
            "[dependencies]\nold = { package = \"worksharing\", version = \"0.0\" }\nworksharing = \"0.1\"",
        ];
        for manifest in manifests {
            assert_eq!(advice(manifest), None, "{manifest}");
        }
    }

    #[test]
    fn a_renamed_dependency_is_told_of() {
        let manifests = [
            "[dependencies]\nshared-work = { package = \"worksharing\", version = \"0.1\" }",
            "[dependencies]\nother = \"1\"\nshared-work = { version = \"0.1\", package=\"worksharing\" }",
            "[dependencies.shared-work]\npackage = \"worksharing\"\npath = \"../worksharing\"",
            "[dependencies.shared-work]\nversion = \"0.1\"\npackage = 'worksharing'",
            "[dependencies]\nshared-work.package = \"worksharing\"",
        ];
        for manifest in manifests {
            let advice = advice(manifest).unwrap_or_default();
            assert!(
                advice.ends_with("write `crate = that_name`"),
                "{manifest}: {advice}"
            );
        }
    }

    #[test]
    fn another_crate_may_export_it() {
        for manifest in [
            "[dependencies]\ncompany = \"1\"",
            "[dependencies]\nmy-worksharing = \"1\"",
            "",
        ] {
            let advice = advice(manifest).unwrap_or_default();
            assert!(
                advice.ends_with("write `crate = path::to::worksharing`"),
                "{manifest}: {advice}"
            );
        }
    }
}
