//! The calls of one list of ids, step by step.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;

use crate::blocking::block_on;
use crate::each::EachReturned;
use crate::events::Event;
use crate::flow::{Call, Several};
use crate::policy::Policy;

/// The ids of one call, on their way.
#[must_use]
pub struct Many<'a, E, P: Policy> {
    ids: Vec<E>,
    several: Several<'a, P>,
    /// Where they stand that are being computed.
    places: Vec<usize>,
    /// One of the calls, for what is to be said of all.
    one: Option<Call>,
}

impl<'a, E: Clone, P: Policy + 'a> Many<'a, E, P> {
    /// Of ids with their calls. An id that stands there twice is one.
    pub(crate) fn new(entrants: impl IntoIterator<Item = (E, Call)>) -> Self {
        let mut known: HashSet<[u8; 16]> = HashSet::new();
        let entrants = entrants.into_iter();
        let once = entrants.filter(|(_, call)| known.insert(*call.key.digest()));
        let (ids, calls): (Vec<_>, Vec<_>) = once.unzip();
        Self {
            ids,
            one: calls.first().cloned(),
            several: Several::new(calls),
            places: Vec::new(),
        }
    }

    /// What is to be computed next: the ids that nobody has, and nobody computes. `None`: all is settled.
    pub async fn next(&mut self) -> Option<Vec<E>> {
        self.places = self.several.next().await;
        let ids = self.places.iter().map(|place| self.ids[*place].clone());
        (!self.places.is_empty()).then(|| ids.collect())
    }

    /// [`next`](Self::next), blocking this thread.
    pub fn next_blocking(&mut self) -> Option<Vec<E>> {
        block_on(self.next())
    }

    /// Runs the body for them, and shares what comes of it: each id's value with all who wait for that.
    pub async fn land<R: EachReturned<E, P>>(
        &mut self,
        policy: P,
        body: Pin<&mut impl Future<Output = R>>,
    ) {
        let returned = self.several.compute(body).await;
        let taken = self.take(returned);
        self.share(policy, taken).await;
    }

    /// [`land`](Self::land), on this thread.
    pub fn land_blocking<R: EachReturned<E, P>>(&mut self, policy: P, body: impl FnOnce() -> R) {
        let returned = self.several.compute_blocking(body);
        let taken = self.take(returned);
        block_on(self.share(policy, taken));
    }

    /// The values for the ids that were to be computed. From here on no future knows what the body returned: of an error
    /// that borrows, the compiler would lose sight of the lifetime where it checks that a future is `Send`.
    fn take<R: EachReturned<E, P>>(&self, returned: R) -> Result<Vec<P::Returned>, P::Returned> {
        let mut left = returned.split()?;
        let ids = self.places.iter().map(|place| &self.ids[*place]);
        let values = ids.map(|id| R::take(&mut left, id)).collect();
        if let (unasked @ 1.., Some(call)) = (R::left(&left), &self.one) {
            call.record(Event::Unasked(unasked));
        }
        Ok(values)
    }

    async fn share(&mut self, policy: P, taken: Result<Vec<P::Returned>, P::Returned>) {
        match taken {
            Ok(values) => {
                let landings = self.several.landings(&policy, values);
                drop(policy);
                self.several.land(landings).await;
            }
            Err(error) => self.several.fail(policy, error).await,
        }
    }

    /// The values of all ids, or the error that ended it.
    pub fn finish<R: EachReturned<E, P>>(self) -> R {
        match self.several.finish() {
            Ok(values) => {
                let values = self.ids.into_iter().zip(values);
                R::gather(values.filter_map(|(id, value)| Some((id, value?))))
            }
            Err(error) => R::failed(error),
        }
    }
}

impl<E, P: Policy> fmt::Debug for Many<'_, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Many")
            .field("ids", &self.ids.len())
            .finish_non_exhaustive()
    }
}
