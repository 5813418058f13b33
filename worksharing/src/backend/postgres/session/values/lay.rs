use std::collections::HashSet;

use ::postgres::types::Type;
use ::postgres::{Client, Error};

use super::{LONGEST, Values};
use crate::backend::postgres::session::outbox::Laid;
use crate::backend::postgres::session::statement::Parameters;

impl Values {
    /// Lays entries, each if one of its rows is due still, and has done with these rows. Rows that another session is at
    /// are left to it. No key occurs twice.
    pub(in super::super) fn lay(
        &mut self,
        client: &mut Client,
        due: &str,
        store: &str,
        all: &[Laid],
    ) -> Result<HashSet<String>, Error> {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for (place, laid) in (0_i32..).zip(all) {
            ids.extend_from_slice(&laid.rows);
            places.resize(ids.len(), place);
        }
        let order: Vec<i32> = (0_i32..).take(all.len()).collect();
        let keys: Vec<&str> = all.iter().map(|laid| &*laid.entry.key).collect();
        let entries: Vec<&[u8]> = all.iter().map(|laid| &*laid.entry.entry).collect();
        let seconds = |laid: &Laid| laid.entry.ttl.min(LONGEST).as_secs_f64();
        let seconds: Vec<f64> = all.iter().map(seconds).collect();
        let sql = format!(
            "WITH free AS MATERIALIZED (
               SELECT id FROM {due} WHERE store = $1 AND id = ANY($2) ORDER BY id FOR UPDATE SKIP LOCKED),
             gone AS (
               DELETE FROM {due} AS d USING free WHERE d.store = $1 AND d.id = free.id RETURNING d.id)
             INSERT INTO {table} AS t (key, value, expires)
             SELECT key, value, clock_timestamp() + make_interval(secs => seconds)
               FROM unnest($4::int[], $5::text[], $6::bytea[], $7::float8[]) AS n(place, key, value, seconds)
              WHERE place IN (SELECT place FROM unnest($2::bigint[], $3::int[]) AS r(id, place) JOIN gone USING (id))
              ORDER BY key
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires
             RETURNING key",
            table = self.table,
        );
        let parameters: Parameters<'_> = &[
            (&store, Type::TEXT),
            (&ids, Type::INT8_ARRAY),
            (&places, Type::INT4_ARRAY),
            (&order, Type::INT4_ARRAY),
            (&keys, Type::TEXT_ARRAY),
            (&entries, Type::BYTEA_ARRAY),
            (&seconds, Type::FLOAT8_ARRAY),
        ];
        let laid = self.run(client, &sql, parameters, false)?;
        self.sweeper.stored();
        Ok(laid.iter().map(|row| row.get(0)).collect())
    }
}
