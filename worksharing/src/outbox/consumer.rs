//! The process that looks after a store: what is due there is laid.

use std::pin::pin;
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::{Outbox, StoreId};
use crate::background::until;
use crate::payload::entry::{Container, EntryId, Kind, Written};
use crate::store::{Fence, Look, Seen};
use crate::sync::lock;
use crate::{Error, ErrorKind, Key, flow};

/// How often it is looked what is due.
const POLL: Duration = Duration::from_millis(25);
/// How often a claim is renewed: well below what it lasts.
const RENEWAL: Duration = Duration::from_millis(300);
/// How often it is looked whether another's claim has lapsed: on average, so that many processes ask at many moments.
const TRY: Duration = Duration::from_millis(500);
/// How often the store is asked whether it is still the same.
const IDENTIFY: Duration = Duration::from_secs(5);
/// What is being done by another process, at a start.
const SOON: Duration = Duration::from_millis(5);
/// After what did not work.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Until the runtime is gone.
pub(super) async fn run(outbox: Weak<Outbox>) {
    let mut consumer = Consumer::new();
    while let Some(outbox) = outbox.upgrade() {
        let pause = consumer.round(&outbox).await;
        drop(outbox);
        sleep(pause).await;
    }
}

async fn sleep(time: Duration) {
    let never = std::future::pending::<()>();
    until(pin!(never), Some(Instant::now() + time)).await;
}

struct Consumer {
    /// The store, as it is registered.
    store: Option<String>,
    identify: Instant,
    is_claimed: bool,
    claim: Instant,
    /// Up to here everything is to be laid before the first look.
    drains_until: Option<i64>,
    /// The next rows are those after this one: so that some that cannot be laid do not keep others waiting.
    after: i64,
    pause: Duration,
}

impl Consumer {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            store: None,
            identify: now,
            is_claimed: false,
            claim: now,
            drains_until: None,
            after: 0,
            pause: SHORTEST,
        }
    }

    /// Returns how long nothing is to be done.
    async fn round(&mut self, outbox: &Outbox) -> Duration {
        match self.try_round(outbox).await {
            Ok(pause) => {
                self.pause = SHORTEST;
                outbox.troubles.end();
                pause
            }
            Err(error) => {
                outbox.troubles.begin(&error);
                if error.kind() == ErrorKind::Unsuitable {
                    // It will not be there within a second.
                    outbox.process().gate.open();
                }
                self.leave(outbox);
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST);
                pause
            }
        }
    }

    async fn try_round(&mut self, outbox: &Outbox) -> Result<Duration, Error> {
        let store = self.identify(outbox).await?;
        if !outbox.is_ready() {
            // Whoever looks beside the outbox sees what is pending.
            if !outbox.is_exact {
                self.drain(outbox, &store).await?;
            }
            outbox.process().gate.open();
        }
        if !self.claim(outbox, &store).await? {
            return Ok(self.claim.saturating_duration_since(Instant::now()));
        }
        let has_more = self.consume(outbox, &store).await?;
        Ok(if has_more { Duration::ZERO } else { POLL })
    }

    /// The store, registered. One that was emptied is another one.
    async fn identify(&mut self, outbox: &Outbox) -> Result<String, Error> {
        let now = Instant::now();
        if let Some(store) = self.store.as_ref().filter(|_| self.identify > now) {
            return Ok(store.clone());
        }
        let (id, is_new) = outbox.store_id().await?;
        let store = id.of(&outbox.namespace);
        let was_unknown = outbox.queue.register(&store).await?;
        if was_unknown && !is_new {
            outbox.troubles.forgotten(&store);
        }
        let before = self.store.replace(store.clone());
        if let Some(before) = before.filter(|before| *before != store) {
            self.is_claimed = false;
            outbox.queue.forget(&before).await?;
        }
        self.identify = now + IDENTIFY;
        Ok(store)
    }

    /// Lays what was committed before this process looked. It does so itself: whoever has the claim may be dead.
    async fn drain(&mut self, outbox: &Outbox, store: &str) -> Result<(), Error> {
        let last = match self.drains_until {
            Some(last) => last,
            None => outbox.queue.last(store).await?,
        };
        self.drains_until = Some(last);
        while outbox.queue.has_until(store, last).await? {
            let rows = outbox.queue.take(store, 0, Vec::new()).await?;
            if rows.is_empty() {
                sleep(SOON).await;
            }
            outbox.lay(store, rows).await?;
        }
        Ok(())
    }

    async fn claim(&mut self, outbox: &Outbox, store: &str) -> Result<bool, Error> {
        let now = Instant::now();
        if self.claim > now {
            return Ok(self.is_claimed);
        }
        let number = outbox.process().number;
        self.is_claimed = outbox.queue.claim(store, number).await?;
        let claimed = self.is_claimed.then(|| store.to_owned());
        *lock(&outbox.process().claimed) = claimed;
        self.claim = now + if self.is_claimed { RENEWAL } else { some(TRY) };
        Ok(self.is_claimed)
    }

    /// Another process may be able to do what this one cannot.
    fn leave(&mut self, outbox: &Outbox) {
        let claimed = lock(&outbox.process().claimed).take();
        if let Some(store) = claimed {
            outbox.queue.release(&store, outbox.process().number);
        }
        if std::mem::take(&mut self.is_claimed) {
            self.claim = Instant::now() + some(LONGEST);
        }
    }

    async fn consume(&mut self, outbox: &Outbox, store: &str) -> Result<bool, Error> {
        let rows = outbox.queue.take(store, self.after, Vec::new()).await?;
        let Some(last) = rows.iter().map(|row| row.id).max() else {
            return Ok(std::mem::take(&mut self.after) > 0);
        };
        let laid = outbox.lay(store, rows).await;
        self.after = if laid.is_ok() { self.after } else { last };
        laid.map(|()| true)
    }
}

/// About this long, each time another.
fn some(time: Duration) -> Duration {
    time.mul_f64(0.5 + EntryId::random().draw())
}

impl Outbox {
    /// What the store is known by, and whether that is new. It is kept in the store itself, so that one that was emptied
    /// is another one, and two behind one database are two.
    async fn store_id(&self) -> Result<(StoreId, bool), Error> {
        if self.is_exact {
            return Ok((StoreId::values(), true));
        }
        let key = Key::new("\u{1}store");
        if let Some(id) = self.read_store_id(&key).await? {
            return Ok((StoreId(id), false));
        }
        let Written { bytes, lives_for } =
            flow::without_value(&key, Kind::Marker, flow::clamp(Duration::MAX));
        let fence = Fence::new(Seen::default(), None);
        let is_new = self.store.put(&key, bytes, lives_for, fence).await?;
        let id = self.read_store_id(&key).await?;
        let lost = || Error::unavailable("the store does not keep what it is known by");
        Ok((StoreId(id.ok_or_else(lost)?), is_new))
    }

    async fn read_store_id(&self, key: &Key) -> Result<Option<String>, Error> {
        const MOST: usize = 1 << 10;
        let found = self.store.get_one(key, Look::up_to(MOST)).await?;
        let Some(found) = found.filter(|found| found.whole) else {
            return Ok(None);
        };
        let container = Container::parse(&found.bytes).ok();
        Ok(container.map(|container| container.newest.header.id.hex()))
    }
}
