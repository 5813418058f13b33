//! What several futures of one poll ask of a server, as one batch.
//!
//! A link's thread takes what is queued as soon as anything is. Where one thread polls many futures, one after the other,
//! that would be the first one's ask, then those of the next few: so the thread is told only when all are polled.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;

type Act = Box<dyn FnOnce()>;

thread_local! {
    static LATER: RefCell<Option<Vec<Act>>> = const { RefCell::new(None) };
}

/// Does this at once or, where several futures are polled together, once they are.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn once_polled(act: impl FnOnce() + 'static) {
    let act: Act = Box::new(act);
    let now = LATER.with_borrow_mut(|later| match later {
        Some(later) => {
            later.push(act);
            None
        }
        None => Some(act),
    });
    if let Some(act) = now {
        act();
    }
}

/// Polls several futures as one.
pub(crate) fn together<R>(poll: impl FnOnce() -> R) -> R {
    let _end = End(LATER.replace(Some(Vec::new())));
    poll()
}

/// Runs a future that polls several.
pub(crate) async fn all<F: Future>(mut several: Pin<&mut F>) -> F::Output {
    poll_fn(|context| together(|| several.as_mut().poll(context))).await
}

/// Does what has been left for later, when it is dropped: after a panic, too.
struct End(Option<Vec<Act>>);

impl Drop for End {
    fn drop(&mut self) {
        // Those around it go on without it.
        let later = LATER.replace(self.0.take());
        later.into_iter().flatten().for_each(|act| act());
    }
}

#[cfg(test)]
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::*;

    #[test]
    fn what_is_asked_together_is_told_at_the_end() {
        let told: Rc<RefCell<Vec<&str>>> = Rc::default();
        let tell = |what| {
            let told = Rc::clone(&told);
            once_polled(move || told.borrow_mut().push(what));
        };
        tell("alone");
        let panics = || {
            together(|| {
                tell("outer");
                together(|| tell("inner"));
                assert_eq!(*told.borrow(), ["alone", "inner"]);
                panic!("told all the same");
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(*told.borrow(), ["alone", "inner", "outer"]);
    }
}
