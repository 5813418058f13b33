//! Settings that cannot be.

use super::Builder;
use crate::Error;
use crate::store::FENCE_LIFE;

impl Builder {
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.texts()?;
        self.times()?;
        self.numbers()?;
        self.own_lock_servers()?;
        self.transactions()
    }

    fn texts(&self) -> Result<(), Error> {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        for (name, text) in [("namespace", namespace), ("prefix", &*self.prefix)] {
            if text.chars().any(char::is_control) {
                return Err(Error::setting(format!(
                    "the {name} {text:?} has control characters in it: write printable text, for example \
                     `.{name}(\"billing\")`"
                )));
            }
        }
        if namespace.contains(':') {
            return Err(Error::setting(format!(
                "the namespace {namespace:?} has a colon in it, which is what stands between a namespace and a key: \
                 write another character, for example `.namespace({:?})`",
                namespace.replace(':', "-")
            )));
        }
        Ok(())
    }

    fn times(&self) -> Result<(), Error> {
        if self.timeouts.default_ttl.is_zero() {
            return Err(Error::setting(
                "default_ttl is zero, so nothing would ever be kept: write a time above zero, for example \
                 `.default_ttl(Duration::from_secs(300))`",
            ));
        }
        if self.timeouts.retry_after.is_zero() {
            return Err(Error::setting(
                "retry_after is zero, so a computation that fails would be tried by every caller: write a time above \
                 zero, for example `.retry_after(Duration::from_secs(1))`",
            ));
        }
        if self.idle_disconnect.is_zero() {
            return Err(Error::setting(
                "idle_disconnect is zero, so there would be a connection for each call: write a time above zero, for \
                 example `.idle_disconnect(Duration::from_secs(300))`",
            ));
        }
        if self.timeouts.tombstone_ttl < FENCE_LIFE {
            return Err(Error::setting(format!(
                "tombstone_ttl is {:?}, so a computation that is under way could miss an invalidation: write \
                 {FENCE_LIFE:?} or more, for example `.tombstone_ttl(Duration::from_secs(3600))`",
                self.timeouts.tombstone_ttl
            )));
        }
        Ok(())
    }

    fn own_lock_servers(&self) -> Result<(), Error> {
        let Some(servers) = &self.lock_servers else {
            return Ok(());
        };
        if servers.is_empty() {
            return Err(Error::setting(
                "lock_servers names no server: write one or more, `.lock_servers([\"postgres://…\", \"postgres://…\"])`, or \
                 leave it out",
            ));
        }
        if self.lock_url.is_some() {
            return Err(Error::setting(
                "both lock_url and lock_servers are set, and a key has but one server: write all servers into \
                 `.lock_servers([…])` (WORKSHARING_LOCK_SERVERS) and leave lock_url (WORKSHARING_LOCK_URL) out",
            ));
        }
        Ok(())
    }

    fn transactions(&self) -> Result<(), Error> {
        if !self.transactional_invalidation {
            return Ok(());
        }
        if self.postgres.is_none() {
            return Err(Error::setting(
                "transactional_invalidation needs the PostgreSQL database of your transactions: write its URL, \
                 `.postgres(\"postgres://…\")`, or leave the option out",
            ));
        }
        #[cfg(feature = "postgres")]
        crate::backend::postgres::outbox::Names::check(&self.table)?;
        Ok(())
    }

    fn numbers(&self) -> Result<(), Error> {
        for (name, number) in [
            ("max_held_keys", self.max_held_keys),
            ("max_value_bytes", self.max_value_bytes),
            ("max_detached", self.max_detached),
            ("local_bytes", self.local_bytes),
        ] {
            if number == 0 {
                return Err(Error::setting(format!(
                    "{name} is 0: write a number of 1 or more, or leave it out"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::WorkSharing;

    #[track_caller]
    fn refused(builder: Builder, advice: &str) {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(advice), "{advice} is not in {error}");
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        let builder = WorkSharing::builder;
        let second = Duration::from_secs(1);
        refused(builder().namespace("shop:de"), "`.namespace(\"shop-de\")`");
        refused(builder().namespace("a\nb"), "`.namespace(\"billing\")`");
        refused(builder().prefix("\0"), "`.prefix(\"billing\")`");
        refused(builder().default_ttl(Duration::ZERO), ".default_ttl(Dur");
        refused(builder().tombstone_ttl(9 * second), "write 10s or more");
        refused(builder().retry_after(Duration::ZERO), ".retry_after(Dur");
        let closed = builder().idle_disconnect(Duration::ZERO);
        refused(closed, ".idle_disconnect(Dur");
        let transactional = || builder().transactional_invalidation(true);
        refused(transactional(), "write its URL");
        #[cfg(feature = "postgres")]
        refused(
            builder().lock_url("postgres://localhost"),
            "nothing for the values",
        );
        refused(builder().lock_servers([""; 0]), "write one or more");
        let one = builder().lock_servers(["postgres://localhost"]);
        #[cfg(feature = "postgres")]
        refused(one, "nothing for the values");
        let one = builder().lock_servers(["postgres://localhost"]);
        refused(one.lock_url("postgres://localhost"), "leave lock_url");
        #[cfg(feature = "postgres")]
        {
            let two = ["postgres://localhost", "postgres://me:my@hunter2@localhost"];
            refused(builder().lock_servers(two), "lock server 2 of 2: ");
        }
        refused(builder().max_detached(0), "max_detached is 0");
        refused(builder().local_bytes(0), "local_bytes is 0");
        refused(builder().max_held_keys(0), "max_held_keys is 0");
        refused(builder().max_value_bytes(0), "max_value_bytes is 0");
        let longest = builder().tombstone_ttl(Duration::MAX);
        longest.default_ttl(Duration::MAX).build().unwrap();
        builder().tombstone_ttl(10 * second).build().unwrap();
    }

    #[test]
    fn lock_servers_are_read_from_the_environment() {
        let urls = |text: &str| {
            let read = |name: &str| (name == "WORKSHARING_LOCK_SERVERS").then(|| text.to_owned());
            let servers = Builder::from_variables(read).lock_servers;
            servers.map(|all| all.into_iter().map(|url| url.0).collect::<Vec<_>>())
        };
        let two = "postgres://a/x\n  postgres://b/x ";
        let expected = ["postgres://a/x", "postgres://b/x"].map(str::to_owned);
        assert_eq!(urls(two), Some(expected.into()));
        assert_eq!(urls(""), None);
        assert_eq!(urls(" \n"), None);
    }

    #[test]
    fn no_part_of_a_url_is_told() {
        let builder = WorkSharing::builder()
            .postgres("host=hunter password=hunter2")
            .lock_url("postgres://hunter:hunter2@localhost")
            .lock_servers(["postgres://hunter:hunter2@localhost"])
            .redis("redis://:hunter2@localhost");
        for text in [format!("{builder:?}"), format!("{builder:#?}")] {
            assert!(!text.contains("hunter"), "{text}");
        }
    }
}
