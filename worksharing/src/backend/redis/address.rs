use redis::{Client, ConnectionAddr, RedisConnectionInfo};

use crate::Error;
use crate::backend::tls;

/// Where a server is, and as whom it is spoken to.
pub(crate) struct Address {
    /// For people, without secrets.
    pub(super) name: String,
    pub(super) place: ConnectionAddr,
    #[cfg(feature = "tls")]
    pub(super) tls: bool,
    pub(super) login: RedisConnectionInfo,
}

const FORMS: &str =
    "write redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path for a socket";

impl Address {
    /// Reads a URL. No error repeats a part of it: it may hold a password, wherever that has slipped to.
    pub(crate) fn parse(url: &str, with_tls: bool) -> Result<Self, Error> {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let tls = scheme == "rediss";
        if !tls && !["redis", "redis+unix", "unix"].contains(&scheme) {
            let message = "the Redis URL does not begin with redis://, rediss:// or unix://";
            return Err(Error::setting(format!("{message}: {FORMS}")));
        }
        if tls && !with_tls {
            return Err(tls::missing(
                "Redis URL asks for TLS (rediss://)",
                "write redis:// for a connection without TLS",
            ));
        }
        if !scheme.ends_with("unix") {
            host_is_told_from_password(url)?;
        }
        // The client of Redis knows this scheme only where it brings TLS of its own.
        let plain = url.replacen("rediss://", "redis://", 1);
        let client = Client::open(plain).map_err(|error| {
            let unread = Error::setting(format!("the Redis URL cannot be read: {FORMS}"));
            match error.detail() {
                Some(_) => unread,
                None => unread.caused_by(error),
            }
        })?;
        let info = client.get_connection_info();
        Ok(Self {
            name: format!("redis at {}", info.addr()),
            place: info.addr().clone(),
            #[cfg(feature = "tls")]
            tls,
            login: info.redis_settings().clone(),
        })
    }
}

/// A password with one of `/?#` in it ends the host's part early, and would be taken for a host and a port.
fn host_is_told_from_password(url: &str) -> Result<(), Error> {
    let (_, after) = url.split_once("://").unwrap_or_default();
    let rest = after.find(['/', '?', '#']).map_or("", |at| &after[at..]);
    if rest.contains('@') {
        return Err(Error::setting(format!(
            "the Redis URL has an @ behind its host: in a password write %2F for /, %3F for ?, %23 for # and \
             %40 for @; {FORMS}"
        )));
    }
    if rest.ends_with("#insecure") {
        return Err(Error::setting(
            "the Redis URL ends with #insecure, but certificates are always verified: leave it out, and name \
             your authority's certificate (PEM) in the environment variable SSL_CERT_FILE",
        ));
    }
    Ok(())
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for (url, name, tls) in [
            ("redis://h", "redis at h:6379", false),
            ("redis://u:p%2Fw@h:7/2", "redis at h:7", false),
            ("rediss://:p@h", "redis at h:6379", true),
            ("unix:///tmp/a@b?db=3&pass=p", "redis at /tmp/a@b", false),
        ] {
            let address = Address::parse(url, true).unwrap();
            assert_eq!((&*address.name, address.tls), (name, tls), "{url}");
        }
        let address = Address::parse("redis://u:p%2Fw@h:7/2", true).unwrap();
        let login = address.login;
        let found = (login.username(), login.password(), login.db());
        assert_eq!(found, (Some("u"), Some("p/w"), 2));
    }

    #[test]
    fn no_error_tells_a_part_of_a_password() {
        for url in [
            "default:hunter2hunter2@h",
            "hunter2hunter2://h",
            "redis//:hunter2hunter2@h",
            "redis://u:12/hunter2@h",
            "redis://u:12#hunter2@h",
            "redis://u:12?hunter2@h",
            "redis://h/hunter2",
            "redis://h/?protocol=hunter2",
            "redis://h:hunter2",
            "rediss://h/#insecure",
        ] {
            let error = Address::parse(url, true).err().expect(url);
            let text = format!("{error:?}");
            assert!(!text.contains("hunter") && !text.contains("12"), "{text}");
            assert!(text.contains("redis://") || text.contains("SSL_CERT_FILE"));
        }
    }
}
