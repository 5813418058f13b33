use std::collections::HashMap;
use std::time::Duration;

use ::postgres::types::Type;
use ::postgres::{Client, Error, Row};
use bytes::Bytes;

use super::{LARGE, Values};
use crate::backend::postgres::session::pending::Texts;
use crate::backend::postgres::session::prepared::Prepared;
use crate::backend::postgres::session::statement::Parameters;
use crate::store::{Look, Seen, Stored};

/// What stands under a key.
pub(in super::super) struct Found {
    pub(super) bytes: Bytes,
    length: usize,
    time_left: Duration,
    is_pending: bool,
}

impl Values {
    /// The entries that stand under these keys and have not expired. Of those of more than `most` bytes the
    /// beginning. A key whose text is pending has no entry, whatever stands there: both are seen at one moment.
    pub(in super::super) fn get(
        &mut self,
        client: &mut Client,
        keys: &[&str],
        most: usize,
        texts: &Texts<'_>,
    ) -> Result<HashMap<String, Found>, Error> {
        let at_once = i32::try_from(most.min(LARGE)).unwrap_or(i32::MAX);
        let parameters: Parameters<'_> = &[(&keys, Type::TEXT_ARRAY), (&at_once, Type::INT4)];
        let rows = match self.pending.clone().filter(|_| !texts.is_empty()) {
            None => self.look(client, parameters, false)?,
            Some(pending) => {
                let all = [parameters, &texts.parameters(&pending)].concat();
                self.look(client, &all, false)?
            }
        };
        let all = rows.iter().map(|row| (row.get(0), Found::of(row)));
        let (pending, there): (Vec<_>, Vec<_>) = all.partition(|(_, found)| found.is_pending);
        let mut found: HashMap<String, Found> = there.into_iter().chain(pending).collect();
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        for key in keys {
            let is_wanted = |found: &Found| !found.is_whole() && found.length <= most as usize;
            if !found.get(*key).is_some_and(is_wanted) {
                continue;
            }
            let parameters: Parameters<'_> =
                &[(&&[*key][..], Type::TEXT_ARRAY), (&most, Type::INT4)];
            match self.look(client, parameters, true)?.first() {
                Some(row) => found.insert(row.get(0), Found::of(row)),
                None => found.remove(*key),
            };
        }
        Ok(found)
    }

    /// What stands under keys and, with the parameters for it, what is pending. Prepared, where the session is ours.
    fn look(
        &mut self,
        client: &mut Client,
        parameters: Parameters<'_>,
        is_large: bool,
    ) -> Result<Vec<Row>, Error> {
        let with_pending = parameters.len() > 2;
        if is_large || !self.statement.own_session {
            let sql = self.sql_of_look(with_pending);
            return self.run(client, &sql, parameters, is_large);
        }
        let prepared = &mut self.looks[usize::from(with_pending)];
        let mut look = match prepared.take() {
            Some(look) => look,
            None => {
                let types: Vec<Type> = parameters.iter().map(|it| it.1.clone()).collect();
                Prepared::new(self.sql_of_look(with_pending), &types)
            }
        };
        let values: Vec<_> = parameters.iter().map(|it| it.0).collect();
        let done = self.with_table(client, |client| look.query(client, &values));
        self.looks[usize::from(with_pending)] = Some(look);
        done
    }

    fn sql_of_look(&self, with_pending: bool) -> String {
        let look = format!(
            "SELECT key, CASE WHEN octet_length(value) <= $2 THEN value ELSE substring(value FROM 1 FOR {LEN}) END,
                    octet_length(value), extract(epoch FROM expires - clock_timestamp())::float8
               FROM {table} WHERE key = ANY($1) AND expires > clock_timestamp()",
            table = self.table,
            LEN = Seen::LEN,
        );
        match self.pending.as_ref().filter(|_| with_pending) {
            None => look,
            Some(pending) => format!(
                "{look} UNION ALL SELECT key, NULL, NULL, NULL FROM ({}) AS p",
                pending.keys(3)
            ),
        }
    }
}

impl Found {
    fn of(row: &Row) -> Self {
        let bytes: Option<Vec<u8>> = row.get(1);
        let length: Option<i32> = row.get(2);
        let time_left: Option<f64> = row.get(3);
        Self {
            is_pending: bytes.is_none(),
            bytes: bytes.unwrap_or_default().into(),
            length: usize::try_from(length.unwrap_or_default()).unwrap_or_default(),
            time_left: Duration::try_from_secs_f64(time_left.unwrap_or_default())
                .unwrap_or_default(),
        }
    }

    fn is_whole(&self) -> bool {
        self.bytes.len() == self.length
    }

    /// As whoever looks for it wants it.
    pub(in super::super) fn stored(&self, look: Look) -> Stored {
        if self.is_pending {
            return Stored::pending(look);
        }
        let mut stored = Stored::new(self.bytes.clone(), look).with_time_left(self.time_left);
        stored.whole &= self.is_whole();
        stored
    }
}
