//! Several lock servers: each key has its own, which all processes choose alike.
//!
//! By rendezvous hashing: of all servers the one whose score for the key is the highest. So where a list has a server more
//! or less, only the keys of that server have another one; the order of the list does not matter.

mod board;
mod lock;

use md5::{Digest as _, Md5};

pub(crate) use self::board::ShardedBoard;
pub(crate) use self::lock::ShardedLock;
use crate::{Error, Key};

/// Something on each of several servers.
#[derive(Debug)]
pub(crate) struct Shards<T>(Vec<Shard<T>>);

/// One of them.
#[derive(Debug)]
struct Shard<T> {
    /// Host, port and database, no secret: what it is chosen by, so that all processes write it alike.
    server: String,
    part: T,
}

impl<T> Shards<T> {
    /// Of at least one server, each named once. In any order.
    pub(crate) fn new(parts: impl IntoIterator<Item = (String, T)>) -> Self {
        let shards = parts.into_iter();
        let mut shards: Vec<_> = shards
            .map(|(server, part)| Shard { server, part })
            .collect();
        shards.sort_by(|a, b| a.server.cmp(&b.server));
        Self(shards)
    }

    /// The one that has this key.
    fn of(&self, key: &Key) -> &Shard<T> {
        let score = |shard: &&Shard<T>| score(&shard.server, key.digest());
        // Of two equal ones the last is taken, by name.
        let highest = self.0.iter().max_by_key(score);
        highest.unwrap_or_else(|| unreachable!("there is at least one"))
    }

    /// Whether all are as they should be. `checked` is of each of them, in their order.
    ///
    /// # Errors
    /// Names those that are not.
    fn checked(&self, checked: Vec<Result<(), Error>>) -> Result<(), Error> {
        let errors = self.0.iter().zip(checked);
        let errors = errors.filter_map(|(shard, checked)| Some((&shard.server, checked.err()?)));
        let errors: Vec<_> = errors.collect();
        let Some((_, first)) = errors.first() else {
            return Ok(());
        };
        let (failed, all) = (errors.len(), self.0.len());
        let each = errors.iter();
        let each = each.map(|(server, error)| format!("{server}: {}", error.chain()));
        let each = each.collect::<Vec<_>>().join("; ");
        let message = format!("{failed} of {all} lock servers cannot be used: {each}");
        Err(Error::new(first.kind(), message))
    }
}

/// What a server is worth to a key: the first 8 bytes of the md5 of the server's name and the first 8 of the key's
/// digest, as a number. The lock key is made of the last 8: keys that share one server must not share more.
///
/// Frozen, since all processes have to choose alike.
fn score(server: &str, digest: &[u8; 16]) -> u64 {
    let hash = Md5::new()
        .chain_update(server)
        .chain_update(&digest[..8])
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn shards(servers: &[&str]) -> Shards<()> {
        Shards::new(servers.iter().map(|server| ((*server).to_owned(), ())))
    }

    fn keys() -> impl Iterator<Item = Key> {
        (0..30_000).map(|n| Key::new(format!("report:{n}")))
    }

    /// By hand: `printf 'a:5432/db\x2a\x71\xcb\x73\x5f\xce\xc9\x78' | md5sum`.
    #[test]
    fn choice_is_frozen() {
        let key = Key::new("report:2024:DE");
        assert_eq!(key.hex()[..16], *"2a71cb735fcec978");
        for (server, expected) in [
            ("a:5432/db", 0x9c82_c70c_2a69_4e22),
            ("b:5432/db", 0x95da_cb6e_b9f6_4eed),
            ("10.0.0.1:6000/x y", 0x750d_ef1c_6539_4dff),
        ] {
            assert_eq!(score(server, key.digest()), expected, "{server}");
        }
        let shards = shards(&["a:5432/db", "b:5432/db", "c:5432/db"]);
        let chosen = |n: u32| shards.of(&Key::new(n.to_string())).server[..1].to_owned();
        assert_eq!(
            (0..20).map(chosen).collect::<String>(),
            "acbacbbaacbbacabccbc"
        );
    }

    #[test]
    fn order_does_not_matter_and_each_has_its_share() {
        let (one, other) = (shards(&["a", "b", "c"]), shards(&["c", "a", "b"]));
        let mut shares = HashMap::<_, i32>::new();
        for key in keys() {
            assert_eq!(one.of(&key).server, other.of(&key).server);
            *shares.entry(&one.of(&key).server).or_default() += 1;
        }
        assert!(
            shares.values().all(|share| (share - 10_000).abs() < 500),
            "{shares:?}"
        );
    }

    #[test]
    fn only_keys_of_the_new_server_move() {
        let (before, after) = (shards(&["a", "b"]), shards(&["a", "b", "c"]));
        let mut moved = 0;
        for key in keys() {
            let (before, after) = (&before.of(&key).server, &after.of(&key).server);
            if before != after {
                assert_eq!(after, "c");
                moved += 1;
            }
        }
        assert!((9_500..10_500).contains(&moved), "{moved}");
    }
}
