#[cfg(any(feature = "cluster", feature = "sentinel"))]
use std::sync::Arc;

use redis::{Client, ConnectionAddr, RedisConnectionInfo};

#[cfg(feature = "sentinel")]
use super::sentinel::Sentinels;
use crate::Error;
use crate::backend::tls;

/// Where a server is, and as whom it is spoken to.
#[derive(Clone)]
pub(crate) struct Address {
    /// For people, without secrets.
    pub(super) name: String,
    pub(super) place: ConnectionAddr,
    #[cfg(feature = "tls")]
    pub(super) tls: bool,
    pub(super) login: RedisConnectionInfo,
    /// Whether a replica is none that is asked anything.
    pub(super) wants_primary: bool,
    /// Who tells where it is.
    #[cfg(feature = "sentinel")]
    pub(super) sentinels: Option<Arc<Sentinels>>,
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
            wants_primary: true,
            #[cfg(feature = "sentinel")]
            sentinels: None,
        })
    }
}

/// A URL of several hosts: the address of each, and what is behind them.
#[cfg(any(feature = "cluster", feature = "sentinel"))]
struct Hosts<'a> {
    addresses: Vec<Address>,
    behind: &'a str,
}

#[cfg(any(feature = "cluster", feature = "sentinel"))]
impl<'a> Hosts<'a> {
    /// Reads `kind://[user:password@]host:port,host:port…`, or `rediss-…` for TLS. `form` is what to write.
    fn parse(url: &'a str, kind: &str, form: &str, with_tls: bool) -> Result<Self, Error> {
        let unread = |what: &str| Error::setting(format!("{what}: write {form}"));
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (tls, own) = match scheme.strip_prefix("rediss-") {
            Some(own) => ("rediss", own),
            None => ("redis", scheme.strip_prefix("redis-").unwrap_or_default()),
        };
        if own != kind {
            return Err(unread("the Redis URL has another scheme"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (before, behind) = rest.split_at(end);
        if behind.contains('@') {
            host_is_told_from_password(url)?;
        }
        let (login, hosts) = match before.rsplit_once('@') {
            Some((login, hosts)) => (format!("{login}@"), hosts),
            None => (String::new(), before),
        };
        let address = |host: &str| match host.is_empty() {
            true => Err(unread("a host in the Redis URL is empty")),
            false => Address::parse(&format!("{tls}://{login}{host}"), with_tls),
        };
        Ok(Self {
            addresses: hosts.split(',').map(address).collect::<Result<_, _>>()?,
            behind,
        })
    }
}

/// Of a cluster.
#[cfg(feature = "cluster")]
impl Address {
    /// Reads the URL of a cluster: one address for each node that it names.
    pub(crate) fn parse_cluster(url: &str, with_tls: bool) -> Result<Vec<Self>, Error> {
        const FORM: &str =
            "redis-cluster://user:password@host:7000,host:7001, or rediss-cluster:// for TLS";
        let hosts = Hosts::parse(url, "cluster", FORM, with_tls)?;
        match hosts.behind.trim_start_matches('/').is_empty() {
            true => Ok(hosts.addresses),
            false => Err(Error::setting(format!(
                "the URL of a Redis Cluster has something behind its hosts, but a cluster has no numbered databases: \
                 write {FORM}"
            ))),
        }
    }

    /// `host:port`.
    pub(super) fn place_of_node(&self) -> Arc<str> {
        match &self.place {
            ConnectionAddr::Tcp(host, port) => format!("{host}:{port}").into(),
            place => place.to_string().into(),
        }
    }

    /// Another node, which is spoken to in the same way.
    pub(super) fn of_node(&self, place: &str) -> Result<Self, Error> {
        let (host, port) = place.rsplit_once(':').unwrap_or((place, ""));
        let port = port.parse().map_err(|_| {
            Error::unavailable(format!("the Redis Cluster has a node at no port: {place}"))
        })?;
        Ok(Self {
            // It sends on what is not its own, and is asked for the map, too.
            wants_primary: false,
            ..self.at(host, port)
        })
    }

    /// Whether nodes are called by their host names.
    pub(super) fn is_by_name(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls;
        #[cfg(not(feature = "tls"))]
        false
    }
}

/// Of servers behind sentinels.
#[cfg(feature = "sentinel")]
impl Address {
    /// Reads the URL of a server whose sentinels are asked where it is.
    pub(crate) fn parse_sentinel(url: &str, with_tls: bool) -> Result<Self, Error> {
        const FORM: &str = "redis-sentinel://user:password@host:26379,host:26379/master-name/0, or \
                            rediss-sentinel:// for TLS";
        let unread = |what: &str| Error::setting(format!("{what}: write {FORM}"));
        let hosts = Hosts::parse(url, "sentinel", FORM, with_tls)?;
        let path = hosts.behind.strip_prefix('/').unwrap_or_default();
        let (name, db) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() || path.contains(['?', '#']) {
            return Err(unread(
                "the URL of Redis Sentinel does not name a master behind its hosts",
            ));
        }
        let db = match db {
            "" => 0,
            db => db.parse().map_err(|_| {
                unread("what the URL of Redis Sentinel has behind its master is no number of a database")
            })?,
        };
        let Some(first) = hosts.addresses.first().cloned() else {
            return Err(unread("the URL of Redis Sentinel has no hosts"));
        };
        Ok(Self {
            name: format!(
                "redis {name} of {}",
                first.name.replacen("redis", "the sentinel", 1)
            ),
            login: first.login.clone().set_db(db),
            sentinels: Some(Arc::new(Sentinels::new(name, hosts.addresses))),
            ..first
        })
    }
}

#[cfg(any(feature = "cluster", feature = "sentinel"))]
impl Address {
    /// Another server, which is spoken to in the same way.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        Self {
            name: format!("redis at {host}:{port}"),
            place: ConnectionAddr::Tcp(host.to_owned(), port),
            ..self.clone()
        }
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

    #[cfg(feature = "cluster")]
    #[test]
    fn urls_of_clusters_are_read() {
        for (url, names) in [
            ("redis-cluster://h", &["redis at h:6379"][..]),
            (
                "redis-cluster://u:p@a:1,b:2/",
                &["redis at a:1", "redis at b:2"],
            ),
            (
                "rediss-cluster://:p%40@a:1,[::1]:2",
                &["redis at a:1", "redis at ::1:2"],
            ),
        ] {
            let addresses = Address::parse_cluster(url, true).unwrap();
            let found: Vec<_> = addresses.iter().map(|address| &*address.name).collect();
            assert_eq!(found, names, "{url}");
            let node = addresses[0].of_node("c:3").unwrap();
            assert_eq!(node.login.password(), addresses[0].login.password());
        }
        for url in [
            "redis-cluster://",
            "redis-cluster://u:hunter2@a,",
            "redis-cluster://u:12/hunter2@a,b",
            "redis-cluster://hunter2@a/1",
            "redis-cluster://a:hunter2,b",
            "redis://hunter2@a,b",
        ] {
            let error = Address::parse_cluster(url, true).err().expect(url);
            let text = format!("{error:?}");
            assert!(!text.contains("hunter") && !text.contains("12"), "{text}");
            assert!(text.contains("redis"), "{text}");
        }
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
