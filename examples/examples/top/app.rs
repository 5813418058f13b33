//! What the view knows and what it was asked for. Nothing here draws, or reads a key.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use worksharing::Computation;

use crate::watch::News;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Time,
    Waiting,
    Key,
    Function,
    Process,
}

pub(crate) struct App {
    pub(crate) place: String,
    list: Vec<Computation>,
    /// When the list was true.
    as_of: Option<Instant>,
    /// Why it is not known what is computed now.
    pub(crate) trouble: Option<String>,
    pub(crate) order: Order,
    pub(crate) reversed: bool,
    /// Only what has this text in it is shown.
    pub(crate) filter: String,
    /// The filter is being typed.
    pub(crate) typing: bool,
    selected: Option<Identity>,
    quits: bool,
}

/// Which computation: the list's places change.
#[derive(PartialEq)]
struct Identity(String, String, u32);

impl App {
    pub(crate) fn new(place: String) -> Self {
        Self {
            place,
            list: Vec::new(),
            as_of: None,
            trouble: None,
            order: Order::Time,
            reversed: false,
            filter: String::new(),
            typing: false,
            selected: None,
            quits: false,
        }
    }

    pub(crate) fn hear(&mut self, news: News) {
        match news {
            News::List(list, as_of) => {
                self.list = list;
                self.as_of = Some(as_of);
                self.trouble = None;
            }
            // What was known before stays, and is said to be old.
            News::Trouble(trouble) => self.trouble = Some(trouble),
            News::End => self.quits = true,
        }
    }

    pub(crate) fn quit(&mut self) {
        self.quits = true;
    }

    pub(crate) fn quits(&self) -> bool {
        self.quits
    }

    /// Sorts by this; if it is sorted by this already, the other way round.
    pub(crate) fn sort_by(&mut self, order: Order) {
        self.reversed = self.order == order && !self.reversed;
        self.order = order;
    }

    /// Selects another row, so many below the one that is selected now.
    pub(crate) fn move_selection(&mut self, rows: isize) {
        let shown = self.shown();
        let Some(last) = shown.len().checked_sub(1) else {
            return;
        };
        let to = match self.selection(&shown) {
            Some(now) => now.saturating_add_signed(rows).min(last),
            None if rows < 0 => last,
            None => 0,
        };
        self.selected = Some(identity(shown[to]));
    }

    /// What is to be shown, sorted.
    pub(crate) fn shown(&self) -> Vec<&Computation> {
        let mut shown: Vec<_> = self
            .list
            .iter()
            .filter(|computation| self.passes(computation))
            .collect();
        shown.sort_by(|a, b| {
            let order = self.compare(a, b);
            if self.reversed {
                order.reverse()
            } else {
                order
            }
        });
        shown
    }

    /// The row of the selected one, if it is shown.
    pub(crate) fn selection(&self, shown: &[&Computation]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        shown.iter().position(|row| identity(row) == *selected)
    }

    /// How many there are, whatever the filter.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// Whether it has been heard yet what is computed.
    pub(crate) fn knows(&self) -> bool {
        self.as_of.is_some()
    }

    /// How old the list is.
    pub(crate) fn age(&self) -> Duration {
        self.as_of.map_or(Duration::ZERO, |as_of| as_of.elapsed())
    }

    fn passes(&self, row: &Computation) -> bool {
        let filter = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&filter);
        has(&row.key) || has(&row.function) || has(&row.host) || has(&row.process.to_string())
    }

    /// The largest times and numbers first, texts from A to Z.
    fn compare(&self, a: &Computation, b: &Computation) -> Ordering {
        let longer = || b.running_for.cmp(&a.running_for);
        let order = match self.order {
            Order::Time => longer(),
            Order::Waiting => b.waiting.cmp(&a.waiting).then_with(longer),
            Order::Key => a.key.cmp(&b.key),
            Order::Function => a.function.cmp(&b.function).then_with(longer),
            Order::Process => (&a.host, a.process).cmp(&(&b.host, b.process)),
        };
        // Equal ones keep their places from second to second.
        order.then_with(|| (&a.key, a.process).cmp(&(&b.key, b.process)))
    }
}

fn identity(row: &Computation) -> Identity {
    Identity(row.key.clone(), row.host.clone(), row.process)
}
