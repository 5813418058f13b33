use std::error::Error;

/// An error's text with those of its causes, each once: as `anyhow` shows them, whether or not the error's own
/// text tells of its causes.
pub fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        if !text.contains(&own) {
            text = format!("{text}: {own}");
        }
        cause = error.source();
    }
    text
}
