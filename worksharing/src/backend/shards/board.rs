use std::sync::Arc;

use futures_util::future::join_all;

use super::Shards;
use crate::computing::{Board, Notice, Posted};
use crate::events::RateLimited;
use crate::{BoxFuture, Error, Key};

/// What is computed, told on the server that has the key's lock: who dies is forgotten by that.
#[derive(Debug)]
pub(crate) struct ShardedBoard {
    shards: Shards<Arc<dyn Board>>,
    said: RateLimited,
}

impl ShardedBoard {
    pub(crate) fn new(shards: Shards<Arc<dyn Board>>) -> Self {
        Self {
            shards,
            said: RateLimited::default(),
        }
    }

    fn each(&self) -> impl Iterator<Item = &Arc<dyn Board>> {
        self.shards.0.iter().map(|shard| &shard.part)
    }

    /// What is on all of them. What is on one that does not answer is left out, and that is said.
    fn collect(&self, read: Vec<Result<Posted, Error>>, keys: usize) -> Result<Posted, Error> {
        let mut all = Posted {
            computations: Vec::new(),
            waiting: vec![0; keys],
        };
        let (mut failed, servers) = (None, read.len());
        let mut failures = 0;
        for (shard, read) in self.shards.0.iter().zip(read) {
            match read {
                Ok(posted) => all.add(posted),
                Err(error) => {
                    failures += 1;
                    failed.get_or_insert((&shard.server, error));
                }
            }
        }
        match failed {
            Some((_, error)) if failures == servers => return Err(error),
            Some((server, error)) => self.said.say(|kept_back| {
                tracing::warn!(
                    server,
                    error = %error.chain(),
                    kept_back,
                    "`computing` leaves out what is computed by the keys of a lock server that does not answer"
                );
            }),
            None => {}
        }
        Ok(all)
    }
}

impl Posted {
    /// A process whose list of servers is another one may wait on another server than that which has the key here.
    fn add(&mut self, other: Self) {
        self.computations.extend(other.computations);
        for (all, more) in self.waiting.iter_mut().zip(other.waiting) {
            *all += more;
        }
    }
}

impl Board for ShardedBoard {
    fn publish(&self, notices: Vec<Notice>) {
        for notice in notices {
            self.shards.of(&notice.key).part.publish(vec![notice]);
        }
    }

    fn withdraw(&self, notice: Notice) {
        self.shards.of(&notice.key).part.withdraw(notice);
    }

    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Posted, Error>> {
        Box::pin(async move {
            let read = join_all(self.each().map(|board| board.read(keys.clone()))).await;
            self.collect(read, keys.len())
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let checked = join_all(self.each().map(|board| board.check())).await;
            self.shards.checked(checked)
        })
    }
}
