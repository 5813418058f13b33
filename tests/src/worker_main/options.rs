//! The options of a run, as those of a `Work`.

use worksharing::Work;

use crate::Options;

impl Options {
    /// All that do not change the type.
    pub(super) fn of<T>(&self, mut work: Work<T>) -> Work<T> {
        work = work.force_refresh(self.force_refresh);
        if self.cache_none {
            work = work.cache_none();
        }
        if let Some(time) = self.stale_while_revalidate {
            work = work.stale_while_revalidate(time);
        }
        if let Some(time) = self.stale_if_error {
            work = work.stale_if_error(time);
        }
        if let Some(beta) = self.early_refresh {
            work = work.early_refresh(beta);
        }
        if let Some(most) = self.jitter {
            work = work.jitter(most);
        }
        if let Some(time) = self.wait {
            work = work.wait(time);
        }
        work
    }
}

/// Calls with those that do, too: each of them is another type.
macro_rules! with_options {
    ($work:expr, $options:expr, |$typed:ident| $call:expr) => {
        match ($options.on_timeout.clone(), $options.clone_errors) {
            (None, false) => {
                let $typed = $work;
                $call
            }
            (None, true) => {
                let $typed = $work.clone_errors();
                $call
            }
            (Some(value), false) => {
                let $typed = $work.on_timeout(move || Ok(Some(value)));
                $call
            }
            (Some(value), true) => {
                let $typed = $work.on_timeout(move || Ok(Some(value))).clone_errors();
                $call
            }
        }
    };
}

pub(super) use with_options;
