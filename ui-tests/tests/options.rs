//! Every option, as far as the attribute has to do with it.

use std::sync::LazyLock;
use std::time::Duration;

use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

static SHARING: LazyLock<WorkSharing> = LazyLock::new(WorkSharing::in_memory);

const MINUTE: Duration = Duration::from_secs(60);

fn lifetime(hours: u64) -> Duration {
    MINUTE * 60 * hours as u32
}

/// What is stored under exactly this characteristic string.
fn stored(characteristic: &str) -> Option<u64> {
    SHARING.work(characteristic).peek_blocking()
}

#[test]
fn ttl_forms() {
    #[work_shared(ttl = "1h 30m")]
    fn literal() -> u64 {
        tick()
    }
    #[work_shared(ttl = MINUTE)]
    fn constant() -> u64 {
        tick()
    }
    #[work_shared(ttl = lifetime(hours) + MINUTE)]
    fn expression(hours: u64) -> u64 {
        tick() + hours
    }
    #[work_shared(ttl = Duration::from_nanos(1))]
    fn hardly() -> u64 {
        tick()
    }
    assert_eq!(literal(), literal());
    assert_eq!(constant(), constant());
    assert_eq!(expression(1), expression(1));
    let first = hardly();
    let begun = std::time::Instant::now();
    while hardly() == first {
        assert!(begun.elapsed() < MINUTE, "the value never expires");
    }
}

#[test]
fn templates_are_exactly_what_is_written() {
    struct User {
        id: u32,
        names: (String, Vec<u8>),
    }
    impl User {
        fn upper(&self, end: &str) -> String {
            self.names.0.to_uppercase() + end
        }

        #[work_shared(via = SHARING, key = "{self.id}/{self.names.1[0]}/{self.upper(\":}\")}")]
        fn method(&self) -> u64 {
            tick()
        }
    }
    #[work_shared(via = SHARING, key = "report:{year}:{region}")]
    fn names(year: u32, region: &str) -> u64 {
        tick()
    }
    #[work_shared(via = SHARING, key = "{{{0}}} {1.0} {1.1:?} {2:05.1} {2:>6} ü {{}}")]
    fn positions(a: u32, pair: (u8, &str), float: f32) -> u64 {
        tick()
    }
    #[work_shared(via = SHARING, key = r#"{name:?} "{name:*^7}" {name.len()} {std::any::type_name::<u8>()}"#)]
    fn specs(name: &str) -> u64 {
        tick()
    }
    #[work_shared(via = SHARING, key = "plain")]
    fn plain() -> u64 {
        tick()
    }
    let user = User {
        id: 7,
        names: ("ann".into(), vec![9]),
    };
    assert_eq!(Some(user.method()), stored("7/9/ANN:}"));
    assert_eq!(Some(names(2024, "DE")), stored("report:2024:DE"));
    assert_eq!(
        Some(positions(1, (2, "b"), 1.25)),
        stored("{1} 2 \"b\" 001.2   1.25 ü {}")
    );
    assert_eq!(Some(specs("abc")), stored("\"abc\" \"**abc**\" 3 u8"));
    assert_eq!(Some(plain()), stored("plain"));
}

#[test]
fn key_expressions() {
    fn key_of(year: u32, region: &str) -> String {
        format!("by function:{year}:{region}")
    }
    #[work_shared(via = SHARING, key = key_of(year, region))]
    fn function(year: u32, region: &str) -> u64 {
        tick()
    }
    #[work_shared(via = SHARING, key = id)]
    fn display(id: u64) -> u64 {
        tick()
    }
    #[work_shared(via = SHARING, key = format_args!("{a}-{}", b.len()))]
    fn arguments(a: u8, b: String) -> usize {
        drop(b);
        tick() as usize
    }
    #[work_shared(via = SHARING, key = name)]
    fn moved(name: String) -> u64 {
        tick() + name.into_bytes().len() as u64
    }
    #[work_shared(via = SHARING, key = concat!("con", "cat"))]
    fn concatenated() -> u64 {
        tick()
    }
    assert_eq!(Some(function(2024, "DE")), stored("by function:2024:DE"));
    assert_eq!(Some(display(12345)), stored("12345"));
    assert_eq!(arguments(1, "abc".into()), arguments(1, "xyz".into()));
    assert_eq!(Some(moved("name".into())), stored("name"));
    assert_eq!(Some(concatenated()), stored("concat"));
}

#[test]
fn the_default_key_is_frozen() {
    #[work_shared(via = SHARING)]
    fn find(year: u32, region: &str, _: Option<u8>) -> u64 {
        let _ = (year, region);
        tick()
    }
    let function = "options::the_default_key_is_frozen::find";
    let expected = format!("{}:{function}(4:2024,4:\"DE\",7:Some(1))", function.len());
    assert_eq!(Some(find(2024, "DE", Some(1))), stored(&expected));
}

#[test]
fn skip_and_skip_all() {
    struct NoDebug;
    #[work_shared(skip(left, b))]
    fn some(left: &NoDebug, (a, b): (u32, u32), c: u32) -> u64 {
        let _ = (left, a, b, c);
        tick()
    }
    #[work_shared(skip_all)]
    fn all(left: &NoDebug, right: u32) -> u64 {
        let _ = (left, right);
        tick()
    }
    assert_eq!(some(&NoDebug, (1, 2), 3), some(&NoDebug, (4, 5), 3));
    assert_ne!(some(&NoDebug, (1, 2), 3), some(&NoDebug, (1, 2), 4));
    assert_eq!(all(&NoDebug, 1), all(&NoDebug, 2));
}

#[test]
fn skip_beside_a_template() {
    struct NoDebug(u32);
    #[work_shared(key = "beside:{a}:{1}", skip(db, b), force_refresh = fresh)]
    fn some(db: &NoDebug, c: u32, (a, b): (u32, u32), fresh: bool, _trace: &str) -> u64 {
        let _ = (db.0, b);
        tick()
    }
    #[work_shared(key = "beside:{type}", skip())]
    fn none(r#type: u32) -> u64 {
        tick()
    }
    impl NoDebug {
        #[work_shared(key = "beside self:{n}", skip(self))]
        fn method(&self, n: u32) -> u64 {
            tick() + u64::from(self.0)
        }
    }
    let call = |db, a, b, c| some(&NoDebug(db), c, (a, b), false, "");
    assert_eq!(call(1, 2, 3, 4), call(5, 2, 6, 4));
    assert_ne!(call(1, 2, 3, 4), call(1, 2, 3, 5));
    assert_eq!(none(1), none(1));
    assert_eq!(NoDebug(1).method(1), NoDebug(2).method(1));
}

#[test]
fn force_refresh_stores_under_the_same_key() {
    struct Options {
        fresh: bool,
    }
    #[work_shared(force_refresh = fresh)]
    fn flag(n: u32, fresh: bool) -> u64 {
        let _ = (n, fresh);
        tick()
    }
    #[work_shared(force_refresh = options.fresh || matches!(level, Some(9)))]
    fn expression(n: u32, options: &Options, level: Option<u8>) -> u64 {
        let _ = (n, options, level);
        tick()
    }
    let first = flag(1, false);
    let forced = flag(1, true);
    assert_ne!(first, forced);
    assert_eq!(flag(1, false), forced);
    assert_ne!(flag(2, false), forced);
    let keep = Options { fresh: false };
    let first = expression(1, &keep, None);
    assert_eq!(expression(1, &keep, Some(1)), first);
    assert_ne!(expression(1, &keep, Some(9)), first);
    assert_ne!(expression(1, &Options { fresh: true }, None), first);
}

#[test]
fn version_tells_stored_values_apart() {
    #[work_shared(via = SHARING, key = "versioned", version = 1)]
    fn old() -> u64 {
        tick()
    }
    #[work_shared(via = SHARING, key = "versioned", version = 1 + 1)]
    fn new() -> u64 {
        tick()
    }
    let first = old();
    assert_eq!(old(), first);
    assert_ne!(new(), first);
}

#[test]
fn all_at_once() {
    #[work_shared(
        ttl = "1m",
        key = "all:{n}",
        force_refresh = n > 100,
        via = &*SHARING,
        cache_if = |value| *value < u64::MAX,
        cache_none,
        version = 7,
        handle = all_call,
        name = "everything",
        crate = ::worksharing,
    )]
    fn all(n: u32) -> Option<u64> {
        Some(tick())
    }
    assert_eq!(all(1), all(1));
    assert_ne!(all(101), all(101));
    assert_eq!(all_call(1).peek(), Some(all(1)));
}
