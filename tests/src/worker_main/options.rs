//! The options of a run, as those of a `Work`.

use worksharing::Work;

use crate::Options;

impl Options {
    /// All that do not change the type.
    pub(super) fn of<T: Clone + Send + Sync + 'static>(&self, mut work: Work<T>) -> Work<T> {
        work = work.force_refresh(self.force_refresh).tags(&self.tags);
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
        if let Some(time) = self.local {
            work = work.local(time);
        }
        work
    }
}

/// Calls with those that do, too: each of them is another type.
macro_rules! with_options {
    ($work:expr, $options:expr, |$typed:ident| $call:expr) => {
        with_options!(@cache_err $work, $options, |$typed| $call)
    };
    (@cache_err $work:expr, $options:expr, |$typed:ident| $call:expr) => {
        match $options.cache_err {
            None => with_options!(@clone_errors $work, $options, |$typed| $call),
            Some(time) => {
                with_options!(@clone_errors $work.cache_err(time), $options, |$typed| $call)
            }
        }
    };
    (@clone_errors $work:expr, $options:expr, |$typed:ident| $call:expr) => {
        match $options.clone_errors {
            false => with_options!(@on_timeout $work, $options, |$typed| $call),
            true => with_options!(@on_timeout $work.clone_errors(), $options, |$typed| $call),
        }
    };
    (@on_timeout $work:expr, $options:expr, |$typed:ident| $call:expr) => {
        match $options.on_timeout.clone() {
            None => {
                let $typed = $work;
                $call
            }
            Some(value) => {
                let $typed = $work.on_timeout(move || Ok(Some(value)));
                $call
            }
        }
    };
}

pub(super) use with_options;
