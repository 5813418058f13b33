use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The options of `worksharing::Work`, by their names there, for the way between processes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are documented there")]
pub struct Options {
    pub detach: bool,
    pub stale_while_revalidate: Option<Duration>,
    pub stale_if_error: Option<Duration>,
    pub early_refresh: Option<f64>,
    pub jitter: Option<Duration>,
    pub wait: Option<Duration>,
    /// The value. Left out: who has waited for too long computes.
    pub on_timeout: Option<String>,
    pub clone_errors: bool,
    pub cache_err: Option<Duration>,
    pub cache_none: bool,
    pub force_refresh: bool,
    pub tags: Vec<String>,
    pub local: Option<Duration>,
}

impl Options {
    /// `detach` alone.
    pub fn detach() -> Self {
        Self {
            detach: true,
            ..Self::default()
        }
    }

    /// These tags alone.
    pub fn tags(tags: &[&str]) -> Self {
        Self {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..Self::default()
        }
    }
}
