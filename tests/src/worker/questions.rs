//! What a worker is asked, and waited for.

use std::time::Duration;

use super::{PATIENCE, Worker};
use crate::plan::{Command, Computed, Event, Scope};
use crate::{WorkerStats, wait_until};

impl Worker {
    /// `WorkSharing::check`: what it complained about.
    pub fn check(&mut self) -> Option<String> {
        self.ask(&Command::Check, |event| match event {
            Event::Checked(trouble) => Some(trouble.clone()),
            _ => None,
        })
    }

    /// Asks it to end, and returns what it complained about when it had drained.
    pub fn drain(&mut self) -> Option<String> {
        let before = self.told.lock().unwrap().events.len();
        self.sigterm();
        self.answer(before, "it has drained", |event| match event {
            Event::Checked(trouble) => Some(trouble.clone()),
            _ => None,
        })
    }

    /// `Work::invalidate_blocking`: what it complained about.
    pub fn invalidate(&mut self, key: &str) -> Option<String> {
        self.invalidate_scope(Scope::Key, key)
    }

    /// `WorkSharing::invalidate_tag_blocking`: what it complained about.
    pub fn invalidate_tag(&mut self, tag: &str) -> Option<String> {
        self.invalidate_scope(Scope::Tag, tag)
    }

    fn invalidate_scope(&mut self, scope: Scope, name: &str) -> Option<String> {
        let command = Command::Invalidate(scope, name.to_owned());
        self.ask(&command, |event| match event {
            Event::Invalidated(moment, of, trouble) if *of == scope && moment.key == name => {
                Some(trouble.clone())
            }
            _ => None,
        })
    }

    /// Has a key or a tag invalidated, and does not wait for it.
    pub fn begin_to_invalidate(&mut self, scope: Scope, name: &str) {
        self.write(&Command::Invalidate(scope, name.to_owned()));
    }

    /// `WorkSharing::computing_blocking`: what is computed.
    ///
    /// # Panics
    /// It says that something went wrong.
    pub fn computing(&mut self) -> Vec<Computed> {
        self.try_computing().expect("computing() says")
    }

    /// `WorkSharing::computing_blocking`: what is computed, or what it complained about.
    pub fn try_computing(&mut self) -> Result<Vec<Computed>, String> {
        self.ask(&Command::Computing, |event| match event {
            Event::Computing(computing) => Some(computing.clone()),
            _ => None,
        })
    }

    /// `Work::peek_blocking`.
    pub fn peek(&mut self, key: &str) -> Option<String> {
        self.ask(&Command::Peek(key.to_owned()), |event| match event {
            Event::Peeked(value) => Some(value.clone()),
            _ => None,
        })
    }

    /// Builds, uses and drops so many runtimes: what it complained about.
    pub fn churn(&mut self, runtimes: usize) -> Option<String> {
        self.ask(&Command::Churn(runtimes), |event| match event {
            Event::Checked(trouble) => Some(trouble.clone()),
            _ => None,
        })
    }

    /// So many callers queue for a place among the held keys, and give up: what it complained about.
    pub fn give_up(&mut self, callers: usize) -> Option<String> {
        self.ask(&Command::GiveUp(callers), |event| match event {
            Event::Checked(trouble) => Some(trouble.clone()),
            _ => None,
        })
    }

    /// So many tasks call and are aborted.
    pub fn cancel(&mut self, callers: usize) {
        self.ask(&Command::Cancel(callers), |event| match event {
            Event::Checked(_) => Some(()),
            _ => None,
        });
    }

    /// Has a forked process look and compute beside its parent. Returns what it computed, and what its parent
    /// complains about.
    ///
    /// # Panics
    /// One of them does not end within `limit`.
    pub fn fork(&mut self, key: &str, limit: Duration) -> (String, Option<String>) {
        let before = self.told.lock().unwrap().events.len();
        self.write(&Command::Fork(key.to_owned()));
        let of_parent = |event: &Event| match event {
            Event::Checked(trouble) => Some(trouble.clone()),
            _ => None,
        };
        let trouble = self.answer_within(limit, before, "the parent goes on", of_parent);
        let of_forked = |event: &Event| match event {
            Event::Peeked(value) => value.clone(),
            _ => None,
        };
        let value = self.answer_within(limit, before, "the forked process computes", of_forked);
        (value, trouble)
    }

    /// `WorkSharing::stats`.
    pub fn stats(&mut self) -> WorkerStats {
        self.ask(&Command::Stats, |event| match event {
            Event::Stats(stats) => Some(*stats),
            _ => None,
        })
    }

    fn ask<T>(&mut self, command: &Command, pick: impl Fn(&Event) -> Option<T>) -> T {
        let before = self.told.lock().unwrap().events.len();
        self.write(command);
        self.answer(before, &format!("{command:?} is answered"), pick)
    }

    pub(super) fn answer<T>(
        &self,
        skip: usize,
        what: &str,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> T {
        self.answer_within(PATIENCE, skip, what, pick)
    }

    fn answer_within<T>(
        &self,
        limit: Duration,
        skip: usize,
        what: &str,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> T {
        let mut answer = None;
        wait_until(limit, what, || {
            let told = self.told.lock().unwrap();
            answer = told.events.iter().skip(skip).find_map(&pick);
            assert!(answer.is_some() || !told.ended, "the worker died: {what}");
            answer.is_some()
        });
        answer.unwrap()
    }
}
