use redis::{Client, Connection, ConnectionLike as _, RedisError, RedisResult};

/// Connections of the blocking client, for a pool.
#[derive(Debug)]
pub(super) struct RedisManager(Client);

impl RedisManager {
    pub(super) fn open(url: &str) -> RedisResult<Self> {
        Client::open(url).map(Self)
    }
}

impl r2d2::ManageConnection for RedisManager {
    type Connection = Connection;
    type Error = RedisError;

    fn connect(&self) -> RedisResult<Connection> {
        self.0.get_connection()
    }

    fn is_valid(&self, connection: &mut Connection) -> RedisResult<()> {
        redis::cmd("PING").exec(connection)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.is_open()
    }
}
