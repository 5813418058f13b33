//! Tags and their markers in the store, in one process; each runtime is as good as another process. Case 48.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tests::{Build, Servers};
use worksharing::lock::Local;
use worksharing::store::Memory;
use worksharing::{Key, Work, WorkSharing};

/// Another number with each body.
#[derive(Default)]
struct Bodies(AtomicU32);

impl Bodies {
    fn run(&self, work: Work<u32>) -> u32 {
        work.run_blocking(|| self.0.fetch_add(1, Ordering::SeqCst))
    }

    /// Whether it was computed, and not found.
    fn computes(&self, work: Work<u32>) -> bool {
        let before = self.0.load(Ordering::SeqCst);
        self.run(work);
        self.0.load(Ordering::SeqCst) > before
    }
}

/// On every backend, and on a memory that two runtimes share.
fn on_each_store(test: impl Fn(&str, Build<'_>)) {
    tests::on_each_store(&test);
    let (store, lock) = (Arc::new(Memory::new()), Arc::new(Local::new()));
    test("memory", &|| {
        let builder = WorkSharing::builder().store(Arc::clone(&store));
        builder.lock(Arc::clone(&lock)).build().unwrap()
    });
}

#[test]
fn every_way_to_ask_looks_at_the_tags() {
    on_each_store(|backend, build| {
        let (here, there, bodies) = (build(), build(), Bodies::default());
        let work = || here.work::<u32>("asked").tags(["a", "b"]);
        let first = bodies.run(work());
        assert_eq!(work().peek_blocking(), Some(first), "{backend}");
        there.invalidate_tag_blocking("b").unwrap();
        assert_eq!(work().peek_blocking(), None, "{backend}");
        assert!(work().entry_blocking().is_none(), "{backend}");
        let second = work().refresh_blocking(|| first + 10);
        assert_eq!(work().peek_blocking(), Some(second), "{backend}");
        work().invalidate_blocking().unwrap();
        assert_eq!(work().peek_blocking(), None, "{backend}");
        assert!(bodies.computes(work()) && !bodies.computes(work()));
    });
}

#[test]
fn tag_is_any_text_and_exactly_that() {
    on_each_store(|backend, build| {
        let (sharing, bodies) = (build(), Bodies::default());
        let long = "x".repeat(10_000);
        let tags = [
            "a", "a ", "A", "a:b", "{a}", "{{a}}", "🦀:é", "\u{1}", "\n", &long, "ws:a", "",
        ];
        let work = |tag: &str| sharing.work::<u32>(format!("of {tag}")).tag(tag);
        for tag in tags {
            assert!(bodies.computes(work(tag)), "{backend}: {tag:?}");
        }
        for tag in tags {
            assert!(!bodies.computes(work(tag)), "{backend}: {tag:?}");
            sharing.invalidate_tag_blocking(tag).unwrap();
            let missed: Vec<_> = tags
                .into_iter()
                .filter(|other| work(other).peek_blocking().is_none())
                .collect();
            assert_eq!(missed, [tag], "{backend}");
            bodies.run(work(tag));
        }
    });
}

#[test]
fn tag_is_not_the_key_of_that_text() {
    on_each_store(|backend, build| {
        let (sharing, bodies) = (build(), Bodies::default());
        let work = |text: &str| sharing.work::<u32>(text).tag("same");
        bodies.run(work("same"));
        assert!(!bodies.computes(work("same")), "{backend}");
        sharing.invalidate_tag_blocking("same").unwrap();
        assert!(bodies.computes(work("same")), "{backend}");
        let other = sharing.work::<u32>("other").tag("same");
        bodies.run(other);
        work("same").invalidate_blocking().unwrap();
        let other = sharing.work::<u32>("other").tag("same");
        assert!(!bodies.computes(other), "{backend}");
    });
}

#[test]
fn order_and_number_of_tags_do_not_matter() {
    on_each_store(|backend, build| {
        let (sharing, bodies) = (build(), Bodies::default());
        let work = || sharing.work::<u32>("many");
        let ten: Vec<_> = (0..10).map(|tag| format!("tag {tag}")).collect();
        let twice = ten.iter().rev().chain(&ten);
        assert!(bodies.computes(work().tags(&ten)), "{backend}");
        assert!(!bodies.computes(work().tags(twice)), "{backend}");
        for tag in &ten {
            sharing.invalidate_tag_blocking(tag).unwrap();
            assert!(bodies.computes(work().tags(&ten)), "{backend}: {tag}");
            assert!(!bodies.computes(work().tags(&ten)), "{backend}: {tag}");
        }
        // What was stored without one of them was never told of it.
        assert!(
            bodies.computes(work().tags(&ten).tag("another")),
            "{backend}"
        );
    });
}

#[test]
fn namespaces_have_tags_of_their_own() {
    let servers = Servers::start();
    let bodies = Bodies::default();
    let build = |namespace| servers.builder().namespace(namespace).build().unwrap();
    let (shop, bank) = (build("shop"), build("bank"));
    let work = |of: &WorkSharing| of.work::<u32>("same").tag("user:7");
    for sharing in [&shop, &bank] {
        assert!(bodies.computes(work(sharing)));
    }
    shop.invalidate_tag_blocking("user:7").unwrap();
    assert!(!bodies.computes(work(&bank)));
    assert!(bodies.computes(work(&shop)));
}

/// The entries in Redis that are not those of these works.
fn markers(servers: &Servers, works: &[&str]) -> Vec<String> {
    let mut keys: Vec<String> = redis::cmd("KEYS")
        .arg("ws:*")
        .query(&mut servers.redis.connect())
        .unwrap();
    let of_works = works
        .iter()
        .map(|work| format!("ws:{}", Key::new(*work).hex()));
    let of_works: Vec<_> = of_works.collect();
    keys.retain(|key| !of_works.contains(key));
    keys
}

fn evict(servers: &Servers, keys: &[String]) {
    let gone: usize = redis::cmd("DEL")
        .arg(keys)
        .query(&mut servers.redis.connect())
        .unwrap();
    assert_eq!(gone, keys.len());
}

#[test]
fn evicted_marker_is_a_miss_and_brings_nothing_old_back() {
    let servers = Servers::start();
    let (sharing, bodies) = (servers.sharing(), Bodies::default());
    let work = |key: &str| sharing.work::<u32>(key).tag("tag");
    let keys = ["one", "two", "three"];
    for key in keys {
        assert!(bodies.computes(work(key)));
    }
    // No marker, no match. The next to compute lays another: with that the others do not match either.
    let marker = markers(&servers, &keys);
    assert_eq!(marker.len(), 1, "{marker:?}");
    evict(&servers, &marker);
    assert_eq!(work("one").peek_blocking(), None);
    assert!(bodies.computes(work("one")) && !bodies.computes(work("one")));
    assert!(bodies.computes(work("two")));
    // Nor after an invalidation whose marker is lost.
    sharing.invalidate_tag_blocking("tag").unwrap();
    evict(&servers, &marker);
    for key in keys {
        assert_eq!(work(key).peek_blocking(), None, "{key}");
        assert!(bodies.computes(work(key)), "{key}");
        assert!(!bodies.computes(work(key)), "{key}");
    }
}

#[test]
fn marker_that_is_evicted_during_a_computation_keeps_it_from_later_callers() {
    let servers = Servers::start();
    let (sharing, bodies) = (servers.sharing(), Bodies::default());
    let work = || sharing.work::<u32>("evicted").tag("tag");
    let first = work().run_blocking(|| {
        evict(&servers, &markers(&servers, &["evicted"]));
        servers.sharing().invalidate_tag_blocking("tag").unwrap();
        evict(&servers, &markers(&servers, &["evicted"]));
        100
    });
    assert_eq!(first, 100, "its own caller");
    assert!(bodies.computes(work()));
    assert!(!bodies.computes(work()));
}

#[test]
fn marker_outlives_what_it_marks() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let ttl_ms = |key: &str| -> i64 {
        let mut redis = servers.redis.connect();
        redis::cmd("PTTL").arg(key).query(&mut redis).unwrap()
    };
    let run = |key: &str, ttl| {
        let work = sharing.work(key).ttl(Duration::from_secs(ttl)).tag("tag");
        work.run_blocking(|| 1);
        ttl_ms(&markers(&servers, &["short", "long"])[0])
    };
    assert!(run("short", 60) > 100_000);
    let long = run("long", 86_400);
    assert!(long > 170_000_000, "{long}");
    // Neither what is short nor an invalidation makes it shorter.
    assert!(run("short", 60) > 170_000_000);
}

/// How many of so many keys with one tag were computed, asked for by eight threads.
fn computed(sharing: &WorkSharing, bodies: &Bodies, keys: u32) -> u32 {
    let before = bodies.0.load(Ordering::SeqCst);
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for key in (thread..keys).step_by(8) {
                    bodies.run(sharing.work(format!("key {key}")).tag("all"));
                }
            });
        }
    });
    bodies.0.load(Ordering::SeqCst) - before
}

#[test]
fn one_tag_of_ten_thousand_keys() {
    on_each_store(|backend, build| {
        let (here, there, bodies) = (build(), build(), Bodies::default());
        let keys = match backend {
            "memory" | "redis" => 10_000,
            _ => 500,
        };
        assert_eq!(computed(&here, &bodies, keys), keys, "{backend}");
        assert_eq!(computed(&there, &bodies, keys), 0, "{backend}");
        here.invalidate_tag_blocking("all").unwrap();
        assert_eq!(computed(&there, &bodies, keys), keys, "{backend}");
        assert_eq!(computed(&here, &bodies, keys), 0, "{backend}");
    });
}
