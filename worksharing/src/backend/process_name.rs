//! What a server is told of the program that connects: so that an operator sees whose connection it is.

use std::env;
use std::process;
use std::sync::OnceLock;

/// `before`, the executable's name and the number of the process, with this between the two. Of at most so many bytes, for
/// which the name is cut; all of them printable ASCII, and none a space that is not in `before` or `between`.
pub(crate) fn process_name(before: &str, between: char, longest: usize) -> String {
    let after = format!("{between}{}", process::id());
    let room = longest.saturating_sub(before.len() + after.len());
    format!("{before}{}{after}", cut(executable(), room))
}

fn executable() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let path = env::current_exe().ok();
        let name = path.as_deref().and_then(|path| path.file_stem());
        printable(&name.unwrap_or_default().to_string_lossy())
    })
}

fn printable(name: &str) -> String {
    // Where the file was replaced since, as by a deploy, Linux says so in its name.
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let printable = |char: char| if char.is_ascii_graphic() { char } else { '_' };
    let name: String = name.chars().map(printable).collect();
    if name.is_empty() {
        return "unknown".to_owned();
    }
    name
}

/// Of ASCII, so that it can be cut anywhere.
fn cut(name: &str, room: usize) -> &str {
    name.get(..room).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_and_short_and_ends_in_the_process() {
        let name = process_name("worksharing locks: ", ' ', 63);
        let pid = format!(" {}", process::id());
        let executable = name.strip_prefix("worksharing locks: ");
        let executable = executable.and_then(|name| name.strip_suffix(&pid)).unwrap();
        assert!(executable.starts_with("worksharing"), "{name}");
        let name = process_name("before ", ':', 20);
        assert!(name.len() <= 20, "{name}");
        assert!(name.starts_with("before wor"), "{name}");
        assert_eq!(process_name("before", ' ', 3), format!("before{pid}"));
    }

    #[test]
    fn what_cannot_be_printed_is_not_told() {
        for (name, told) in [
            ("report-service", "report-service"),
            ("report-service (deleted)", "report-service"),
            ("my program\n", "my_program_"),
            ("Bücher", "B_cher"),
            ("", "unknown"),
        ] {
            assert_eq!(printable(name), told);
        }
    }
}
