//! What worksharing is compared with: the gist as one would port it, over pools of connections.

mod redis_pool;

use std::time::Duration;

use anyhow::Result;
use postgres::NoTls;
use postgres::types::Type;
use r2d2::Pool;
use r2d2_postgres::PostgresConnectionManager;
use redis::Commands as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use worksharing::Key;

use redis_pool::RedisManager;

/// How many connections each pool has.
pub(crate) const CONNECTIONS: u32 = 32;

const CONFIG: bincode::config::Configuration = bincode::config::standard();

/// A plain port of the gist. Look; on a miss begin a transaction, take the lock of the key, look again,
/// compute, store, commit.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    postgres: Pool<PostgresConnectionManager<NoTls>>,
    redis: Pool<RedisManager>,
}

impl Port {
    /// A port with all its connections open.
    pub(crate) fn connect(postgres: &str, redis: &str) -> Result<Self> {
        let postgres = PostgresConnectionManager::new(postgres.parse()?, NoTls);
        Ok(Self {
            postgres: pool(postgres)?,
            redis: pool(RedisManager::open(redis)?)?,
        })
    }

    /// The gist's function.
    pub(crate) fn share<T>(
        &self,
        characteristic: &str,
        ttl: Duration,
        compute: impl FnOnce() -> T,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let key = Key::new(characteristic);
        let name = format!("port:{}", key.hex());
        if let Some(value) = self.look(&name)? {
            return Ok(value);
        }
        let mut client = self.postgres.get()?;
        let mut transaction = client.transaction()?;
        // One round trip, as the gist's own client does it.
        let sql = "SELECT pg_advisory_xact_lock($1)";
        transaction.query_typed(sql, &[(&key.lock_key(), Type::INT8)])?;
        let value = match self.look(&name)? {
            Some(value) => value,
            None => self.keep(&name, ttl, compute())?,
        };
        transaction.commit()?;
        Ok(value)
    }

    fn look<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let found: Option<Vec<u8>> = self.redis.get()?.get(name)?;
        let decode = |bytes: Vec<u8>| bincode::serde::decode_from_slice(&bytes, CONFIG);
        Ok(found.map(decode).transpose()?.map(|(value, _)| value))
    }

    fn keep<T: Serialize>(&self, name: &str, ttl: Duration, value: T) -> Result<T> {
        let bytes = bincode::serde::encode_to_vec(&value, CONFIG)?;
        let () = self.redis.get()?.set_ex(name, bytes, ttl.as_secs())?;
        Ok(value)
    }
}

fn pool<M: r2d2::ManageConnection>(manager: M) -> Result<Pool<M>> {
    // Without a round trip at each checkout, which would be unfair.
    Ok(Pool::builder()
        .max_size(CONNECTIONS)
        .test_on_check_out(false)
        .build(manager)?)
}
