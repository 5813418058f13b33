//! Whether the outbox is there.

use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::types::Type;
use ::postgres::{Client, Error};

use super::Outbox;
use crate::ErrorKind;
use crate::backend::postgres::session::pending::Pending;
use crate::backend::postgres::session::statement::Parameters;
use crate::backend::postgres::table::advice;

/// How often it is looked whether somebody has made the tables.
const AGAIN: Duration = Duration::from_secs(5);

impl Outbox {
    /// Makes tables and functions, where they are missing. Returns what is lacking, and what is to be done about it.
    pub(in super::super) fn ensure(
        &mut self,
        client: &mut Client,
    ) -> Result<Option<String>, Error> {
        if self.is_there {
            return Ok(None);
        }
        if let Some((until, lacks)) = &self.lacks
            && *until > Instant::now()
        {
            return Ok(Some(lacks.clone()));
        }
        let lacks = self.make(client)?;
        self.is_there = lacks.is_none();
        self.lacks = lacks.clone().map(|lacks| (Instant::now() + AGAIN, lacks));
        Ok(lacks)
    }

    /// What looks and puts are to go by.
    pub(in super::super) fn pending(&self) -> Option<&Pending> {
        self.is_there.then_some(&self.pending)
    }

    /// The same as [`ensure`](Self::ensure), whatever was found before.
    pub(in super::super) fn check(&mut self, client: &mut Client) -> Result<Option<String>, Error> {
        (self.is_there, self.lacks) = (false, None);
        self.ensure(client)
    }

    /// A statement has failed because a table is gone.
    pub(in super::super) fn is_gone(&mut self) {
        self.is_there = false;
    }

    fn make(&self, client: &mut Client) -> Result<Option<String>, Error> {
        const TRIES: usize = 3;
        for last in (0..TRIES).rev() {
            let (is_whole, may_use, role) = self.look(client)?;
            if is_whole {
                let grant = || {
                    format!(
                        "does not let the role {role} use the tables of the outbox: have their owner run\n{};",
                        self.names.grant(&role)
                    )
                };
                return Ok((!may_use).then(grant));
            }
            match client.batch_execute(&self.names.creation()) {
                // Somebody else may be making them at the same time.
                Err(error) if error.as_db_error().is_none() || last == 0 => return Err(error),
                Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                    return Ok(Some(self.creation_by_others(&role)));
                }
                Err(error) => {
                    if let Some((ErrorKind::Unsuitable, advice)) = advice(&error, "") {
                        return Ok(Some(advice));
                    }
                }
                Ok(()) => {}
            }
        }
        Ok(None)
    }

    fn creation_by_others(&self, role: &str) -> String {
        format!(
            "does not let the role {role} make the outbox of transactional_invalidation (permission denied): have \
             somebody who may run\n{};\n{};",
            self.names.creation(),
            self.names.grant(role)
        )
    }

    /// Whether all of it is there, whether this role may use it, and its name.
    fn look(&self, client: &mut Client) -> Result<(bool, bool, String), Error> {
        const LOOK: &str = "\
SELECT (SELECT count(to_regclass(t)) FROM unnest($1::text[]) AS t)
       + (SELECT count(to_regprocedure(f)) FROM unnest($2::text[]) AS f),
       (SELECT coalesce(bool_and(has_table_privilege(to_regclass(t), p)), true)
          FROM unnest($1::text[]) AS t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
         WHERE to_regclass(t) IS NOT NULL),
       current_user::text";
        let (tables, functions) = (self.names.tables(), self.names.functions());
        let all = tables.len() + functions.len();
        let (tables, functions) = (tables.as_slice(), functions.as_slice());
        let parameters: Parameters<'_> =
            &[(&tables, Type::TEXT_ARRAY), (&functions, Type::TEXT_ARRAY)];
        let row = client.query_typed_one(LOOK, parameters)?;
        let there = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        Ok((there == all, row.get(1), row.get(2)))
    }
}
