use std::io::{self, IsTerminal as _, Write as _};

/// Colours, where they are wanted.
pub(crate) struct Paint {
    terminal: bool,
    colour: bool,
}

impl Paint {
    /// Colours for a terminal, unless `NO_COLOR` is set.
    pub(crate) fn for_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colour: terminal && !refused,
        }
    }

    pub(crate) fn work(&self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn good(&self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A line that the next one overwrites. Only on a terminal.
    pub(crate) fn passing_line(&self, text: &str) {
        if self.terminal {
            print!("\r\x1b[K{text}");
            let _ = io::stdout().flush();
        }
    }

    pub(crate) fn clear_line(&self) {
        self.passing_line("");
    }
}
