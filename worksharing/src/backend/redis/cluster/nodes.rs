//! The nodes of a cluster: what is known of them, and the connections to them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{Shared, select_ok};

use super::beside;
use super::map::{Map, Place};
use crate::backend::IDLE_DISCONNECT;
use crate::backend::redis::address::Address;
use crate::backend::redis::commands::{Answer, Ask};
use crate::backend::redis::refusal::refusal;
use crate::backend::redis::store::Redis;
use crate::per_process::PerProcess;
use crate::{BoxFuture, Error};

/// A node, and where it is.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) redis: Redis,
}

pub(super) struct Nodes {
    seeds: Vec<Address>,
    prefix: String,
    /// Of connections with nodes.
    pub(super) idle_disconnect: Duration,
    state: PerProcess<Mutex<State>>,
}

#[derive(Default)]
struct State {
    map: Arc<Map>,
    nodes: HashMap<Place, Redis>,
    reading: Option<Reading>,
    /// When the map was last asked for.
    read: Option<Instant>,
    /// Who is asked first, in turns: one that answers may be cut off from the others.
    turn: usize,
}

/// All who need the map at the same time read it once.
type Reading = Shared<BoxFuture<'static, Result<Arc<Map>, Error>>>;

/// The map is not asked for more often.
const PAUSE: Duration = Duration::from_millis(100);

/// So many nodes are asked for the map at once.
const ASKED: usize = 3;

impl Nodes {
    pub(super) fn new(seeds: Vec<Address>, prefix: &str) -> Self {
        Self {
            seeds,
            prefix: prefix.to_owned(),
            idle_disconnect: IDLE_DISCONNECT,
            state: PerProcess::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.state.get(Mutex::default);
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node that has a slot.
    pub(super) async fn of(self: &Arc<Self>, slot: u16) -> Result<Node, Error> {
        if let Some(node) = self.known(slot)? {
            return Ok(node);
        }
        self.read_again().await?;
        self.known(slot)?.ok_or_else(|| {
            Error::unavailable(format!("no primary of the Redis Cluster has slot {slot}"))
        })
    }

    fn known(&self, slot: u16) -> Result<Option<Node>, Error> {
        let place = self.state().map.primary(slot).cloned();
        place.map(|place| self.at(&place)).transpose()
    }

    /// The node at a place.
    pub(super) fn at(&self, place: &Place) -> Result<Node, Error> {
        let mut state = self.state();
        let redis = match state.nodes.get(place) {
            Some(redis) => redis.clone(),
            None => {
                let redis = Redis::at(self.seeds[0].of_node(place)?, &self.prefix);
                let redis = redis.idle_disconnect(self.idle_disconnect);
                state.nodes.insert(Arc::clone(place), redis.clone());
                redis
            }
        };
        Ok(Node {
            place: Arc::clone(place),
            redis,
        })
    }

    /// All that somebody has asked.
    pub(super) fn connected(&self) -> Vec<Node> {
        let state = self.state();
        let node = |(place, redis): (&Place, &Redis)| Node {
            place: Arc::clone(place),
            redis: redis.clone(),
        };
        state.nodes.iter().map(node).collect()
    }

    /// Where else a slot is, when its node gave this error; `None`: nobody knows, or it is there all the same.
    pub(super) async fn elsewhere(
        self: &Arc<Self>,
        slot: u16,
        node: &Node,
        error: &Error,
    ) -> Option<Node> {
        let (code, to) = refusal(error).map_or(("", None), |refusal| {
            let to = refusal.redirect_node().map(|(address, _)| address);
            (refusal.code().unwrap_or_default(), to)
        });
        let map = Arc::clone(&self.state().map);
        let to = to.and_then(|address| map.redirected(address, &node.place));
        match (code, to) {
            ("ASK", Some(to)) => {
                let Node { place, redis } = self.at(&to).ok()?;
                let redis = redis.asking();
                Some(Node { place, redis })
            }
            ("MOVED", Some(to)) => {
                // Others have moved, too. Who was asked may not have heard of this one yet.
                drop(self.read_again().await);
                let mut state = self.state();
                let mut map = Map::clone(&state.map);
                map.give(slot, Arc::clone(&to));
                state.map = Arc::new(map);
                drop(state);
                self.at(&to).ok()
            }
            // It is down, or says that the cluster is.
            ("" | "CLUSTERDOWN" | "READONLY" | "LOADING" | "MASTERDOWN", _) => {
                self.read_again().await.ok()?;
                let other = self.known(slot).ok()??;
                (other.place != node.place).then_some(other)
            }
            _ => None,
        }
    }

    /// Reads the map, unless that was done just now.
    async fn read_again(self: &Arc<Self>) -> Result<Arc<Map>, Error> {
        let reading = {
            let mut state = self.state();
            let is_new = state.read.is_some_and(|read| read.elapsed() < PAUSE);
            match &state.reading {
                Some(reading) if is_new || reading.peek().is_none() => reading.clone(),
                _ => {
                    state.read = Some(Instant::now());
                    state.turn += 1;
                    let nodes = Arc::clone(self);
                    let reading = async move { nodes.read_anew().await };
                    let reading: BoxFuture<'static, _> = Box::pin(reading);
                    let reading = reading.shared();
                    state.reading = Some(reading.clone());
                    reading
                }
            }
        };
        reading.await
    }

    /// Reads the map, of the first few nodes that tell it.
    pub(super) async fn read_anew(self: &Arc<Self>) -> Result<Arc<Map>, Error> {
        let candidates = self.candidates()?;
        let mut last = None;
        for some in candidates.chunks(ASKED) {
            let read = some.iter().map(|node| Box::pin(beside(self.read_of(node))));
            match select_ok(read).await {
                Ok((map, _)) => return Ok(self.set(map)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::unavailable("the Redis Cluster has no nodes")))
    }

    /// Who may be asked for the map: the primaries of the last one, in turns, then their replicas and those of the URL.
    fn candidates(&self) -> Result<Vec<Node>, Error> {
        let (map, turn) = {
            let state = self.state();
            (Arc::clone(&state.map), state.turn)
        };
        let mut places = map.primaries();
        if !places.is_empty() {
            let turn = turn % places.len();
            places.rotate_left(turn);
        }
        let seeds = self.seeds.iter().map(Address::place_of_node);
        for place in map.nodes.iter().cloned().chain(seeds) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.iter().map(|place| self.at(place)).collect()
    }

    /// A reading that nobody waits for any more keeps all of this.
    pub(super) fn forget_reading(&self) {
        if self.state.peek().is_some() {
            let reading = self.state().reading.take();
            drop(reading);
        }
    }

    async fn read_of(&self, node: &Node) -> Result<Map, Error> {
        let Answer::Info(text) = node.redis.answer(Ask::Nodes, false).await? else {
            return Err(nonsense(node));
        };
        let text = str::from_utf8(&text).map_err(|_| nonsense(node))?;
        let map = Map::parse(text, &node.place, self.seeds[0].is_by_name());
        match map.primaries().is_empty() {
            true => Err(Error::unavailable(format!(
                "{} knows of no primary with slots",
                node.redis.address().name
            ))),
            false => Ok(map),
        }
    }

    fn set(&self, map: Map) -> Arc<Map> {
        let map = Arc::new(map);
        let mut state = self.state();
        state.map = Arc::clone(&map);
        // Dropped, a link serves what is queued.
        let primaries = map.primaries();
        state.nodes.retain(|place, _| primaries.contains(place));
        map
    }
}

fn nonsense(node: &Node) -> Error {
    let name = &node.redis.address().name;
    Error::unavailable(format!("{name} does not tell the nodes of a Redis Cluster"))
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.seeds.iter().map(Address::place_of_node);
        f.debug_list().entries(places).finish()
    }
}
