//! Every form of argument: equal ones share, different ones do not.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ui_tests::tick;
use worksharing::work_shared;

/// `$call` twice is one execution, `$other` is another one.
macro_rules! assert_keyed {
    ($call:expr, $($other:expr),+) => {
        assert_eq!($call, $call);
        $(assert_ne!($call, $other);)+
    };
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    x: u32,
    y: u32,
}

#[test]
fn none_at_all() {
    #[work_shared]
    fn one() -> u64 {
        tick()
    }
    #[work_shared]
    fn other() -> u64 {
        tick()
    }
    assert_keyed!(one(), other());
}

#[test]
fn borrowed() {
    #[work_shared]
    fn text(text: &str) -> u64 {
        let _ = text;
        tick()
    }
    #[work_shared]
    fn slice(numbers: &[u8]) -> u64 {
        let _ = numbers;
        tick()
    }
    #[work_shared]
    fn vec_of(texts: &Vec<&str>) -> u64 {
        let _ = texts;
        tick()
    }
    #[work_shared]
    fn maybe(point: Option<&Point>) -> u64 {
        let _ = point;
        tick()
    }
    #[work_shared]
    fn named<'a, 'b: 'a>(left: &'a str, right: &'b mut String) -> u64 {
        right.push_str(left);
        tick()
    }
    assert_keyed!(text("a"), text("b"), text(""));
    assert_keyed!(slice(&[1, 2]), slice(&[12]), slice(&[]));
    assert_keyed!(
        vec_of(&vec!["a", "b"]),
        vec_of(&vec!["a, b"]),
        vec_of(&vec!["a\", \"b"])
    );
    let point = Point { x: 1, y: 2 };
    assert_keyed!(
        maybe(Some(&point)),
        maybe(None),
        maybe(Some(&Point { y: 3, ..point }))
    );
    assert_keyed!(named("a", &mut "b".into()), named("b", &mut "a".into()));
}

#[test]
fn owned_and_moved_by_the_body() {
    #[work_shared]
    fn lengths(text: String, list: Vec<u32>, boxed: Box<str>) -> (u64, usize) {
        let parts = (
            text.into_bytes(),
            list.into_boxed_slice(),
            boxed.into_string(),
        );
        (tick(), parts.0.len() + parts.1.len() + parts.2.len())
    }
    let call = |text: &str| lengths(text.into(), vec![1], "b".into());
    assert_keyed!(call("a"), call("b"));
    assert_eq!(call("abc").1, 5);
}

#[test]
fn impl_trait() {
    #[work_shared]
    fn shown(what: impl AsRef<str> + Debug, other: &impl Debug) -> u64 {
        let _ = (what.as_ref(), other);
        tick()
    }
    assert_keyed!(
        shown("a", &1u8),
        shown("b", &1u8),
        shown("a".to_owned(), &1u8),
        shown("a", &1u16)
    );
}

#[test]
fn patterns() {
    #[work_shared]
    fn pair((a, b): (u32, u32)) -> u64 {
        let _ = a + b;
        tick()
    }
    #[work_shared]
    fn fields(Point { x, .. }: Point, [first, ..]: [u8; 2], &second: &u32) -> u64 {
        let _ = (x, first, second);
        tick()
    }
    #[work_shared]
    fn whole(point @ Point { x, .. }: Point, ref text: String) -> u64 {
        let _ = (point.y, x, text.len());
        tick()
    }
    #[work_shared(key = "pair by name:{a}:{b}")]
    fn by_name((a, b): (u32, u32)) -> u64 {
        tick()
    }
    let point = Point { x: 1, y: 2 };
    assert_keyed!(pair((1, 2)), pair((2, 1)), pair((12, 1)));
    assert_keyed!(
        fields(point, [1, 2], &3),
        fields(point, [1, 3], &3),
        fields(point, [1, 2], &4)
    );
    assert_keyed!(
        whole(point, "a".into()),
        whole(Point { y: 3, ..point }, "a".into())
    );
    assert_keyed!(by_name((1, 2)), by_name((2, 1)));
}

#[test]
fn unnamed_and_mutable() {
    #[work_shared]
    fn unnamed(_: u32, _: &str, _unused: u8) -> u64 {
        tick()
    }
    #[work_shared]
    fn mutable(mut n: u64, mut list: Vec<u64>) -> (u64, u64) {
        n += 1;
        list.push(n);
        (tick(), list.into_iter().sum())
    }
    assert_keyed!(
        unnamed(1, "a", 2),
        unnamed(2, "a", 2),
        unnamed(1, "b", 2),
        unnamed(1, "a", 3)
    );
    assert_keyed!(mutable(1, vec![1]), mutable(2, vec![1]), mutable(1, vec![]));
    assert_eq!(mutable(1, vec![5]).1, 7);
}

#[test]
fn raw_identifiers() {
    #[work_shared]
    fn r#match(r#type: u32) -> u64 {
        let _ = r#type;
        tick()
    }
    #[work_shared(key = "raw:{type}:{r#fn}")]
    fn template(r#type: u32, r#fn: &str) -> u64 {
        tick()
    }
    #[work_shared(force_refresh = r#loop, skip(r#as))]
    fn options(r#as: u32, r#loop: bool) -> u64 {
        let _ = (r#as, r#loop);
        tick()
    }
    assert_keyed!(r#match(1), r#match(2));
    assert_keyed!(template(1, "a"), template(1, "b"), template(2, "a"));
    assert_eq!(options(1, false), options(2, false));
    assert_ne!(options(1, false), options(1, true));
}

#[test]
fn named_like_what_the_expansion_needs() {
    #[work_shared(ttl = "1h")]
    fn names(key: u32, ttl: u32, result: u32, f: u32, cache: u32, sharing: u32, self_: u32) -> u64 {
        let _ = (key, ttl, result, f, cache, sharing, self_);
        tick()
    }
    #[work_shared(key = "{__key}{__plan}{__body}{__argument0}{private}")]
    fn more(__key: u32, __plan: u32, __body: u32, __argument0: u32, private: u32) -> u64 {
        let _ = (__key, __plan, __body);
        tick()
    }
    #[work_shared]
    fn positions((a,): (u32,), __argument0: u32) -> u64 {
        let _ = (a, __argument0);
        tick()
    }
    assert_keyed!(names(1, 2, 3, 4, 5, 6, 7), names(7, 2, 3, 4, 5, 6, 1));
    assert_keyed!(more(1, 2, 3, 4, 5), more(1, 2, 3, 4, 6));
    assert_keyed!(positions((1,), 2), positions((2,), 1));
}

#[test]
fn collections_and_trait_objects() {
    #[work_shared]
    fn map(map: &BTreeMap<String, Vec<u8>>, object: &dyn Debug, pointer: fn(u32) -> u32) -> u64 {
        let _ = (map, object, pointer(1));
        tick()
    }
    fn same(n: u32) -> u32 {
        n
    }
    let one = BTreeMap::from([("a".to_owned(), vec![1])]);
    assert_keyed!(
        map(&one, &1, same),
        map(&BTreeMap::new(), &1, same),
        map(&one, &2, same)
    );
}

#[test]
fn shifted_texts() {
    #[work_shared]
    fn pair(left: &str, right: &str) -> u64 {
        let _ = (left, right);
        tick()
    }
    assert_keyed!(
        pair("a:b", "c"),
        pair("a", "b:c"),
        pair("a", "b"),
        pair("", "a:bc")
    );
}
