//! The orders, which the reports are about: in PostgreSQL.

use std::sync::Arc;

use tokio_postgres::{Client, Error, NoTls};

/// Where they are. A connection for each question keeps this short; a service has a pool.
#[derive(Clone)]
pub(crate) struct Orders {
    url: Arc<str>,
}

impl Orders {
    /// Makes the table, if it is not there.
    pub(crate) async fn in_postgres(url: &str) -> Result<Self, Error> {
        let orders = Self { url: url.into() };
        // Two processes that make it at the same time would meet.
        let sql = "SELECT pg_advisory_xact_lock(9);
             CREATE TABLE IF NOT EXISTS orders (year int NOT NULL CHECK (year <= 2100))";
        orders.connect().await?.batch_execute(sql).await?;
        Ok(orders)
    }

    pub(crate) async fn count(&self, year: u16) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM orders WHERE year = $1";
        let client = self.connect().await?;
        let row = client.query_one(sql, &[&i32::from(year)]).await?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// Takes an order. That older reports are gone then is part of the transaction: with its commit they are, in all
    /// processes, whatever becomes of this one; and if it fails, nothing has happened.
    pub(crate) async fn take(&self, year: u16, invalidation: &str) -> Result<(), Error> {
        let mut client = self.connect().await?;
        let transaction = client.transaction().await?;
        let sql = "INSERT INTO orders VALUES ($1)";
        transaction.execute(sql, &[&i32::from(year)]).await?;
        transaction.batch_execute(invalidation).await?;
        transaction.commit().await
    }

    async fn connect(&self) -> Result<Client, Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}
