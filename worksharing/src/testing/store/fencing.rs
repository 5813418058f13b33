//! What a put may overwrite.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;

use super::{HOUR, entry, get, put, replace};
use crate::store::{Seen, Store};
use crate::testing::run::unique;

pub(super) fn fences_a_put(store: &dyn Store) {
    let key = unique("fenced");
    let [one, two, three] = [(); 3].map(|()| entry("payload"));
    let vanished = put(store, &key, &one, Some(&three));
    assert!(vanished, "nothing there is no objection");
    let unseen = put(store, &key, &two, None);
    assert!(!unseen, "something came where nothing was seen");
    let other = put(store, &key, &two, Some(&three));
    assert!(!other, "something else was seen");
    assert_eq!(get(store, &key), Some(one.clone()));
    assert!(put(store, &key, &two, Some(&one)));
    replace(store, &key, &three, HOUR);
    assert!(!put(store, &key, &one, Some(&two)), "replaced since");
    assert_eq!(get(store, &key), Some(three));
}

pub(super) fn fences_by_short_entries(store: &dyn Store) {
    let key = unique("short");
    let [one, two] = ["1", "2"].map(Bytes::from);
    replace(store, &key, &one, HOUR);
    assert!(!put(store, &key, &entry(""), Some(&two)));
    assert!(!put(store, &key, &entry(""), None));
    assert!(put(store, &key, &two, Some(&one)));
    assert_eq!(get(store, &key), Some(two));
}

/// Its answer was lost: what stands there is what it stored itself.
pub(super) fn recognizes_a_put_that_is_sent_again(store: &dyn Store) {
    let key = unique("again");
    let [one, two] = ["one", "two"].map(entry);
    assert!(put(store, &key, &one, None));
    assert!(
        put(store, &key, &one, None),
        "it does not know its own entry"
    );
    assert!(put(store, &key, &two, Some(&one)));
    assert!(
        put(store, &key, &two, Some(&one)),
        "it does not know its own entry"
    );
    assert!(!put(store, &key, &one, None), "it was superseded");
    assert_eq!(get(store, &key), Some(two));
}

/// Of those who saw the same, one wins: else what they count would be lost.
pub(super) fn lets_one_of_many_puts_win(store: &dyn Store) {
    let key = unique("counter");
    let won = AtomicUsize::new(0);
    let counted = |bytes: &[u8]| -> usize {
        str::from_utf8(&bytes[Seen::LEN..])
            .unwrap()
            .parse()
            .unwrap()
    };
    let count = || {
        for _ in 0..50 {
            let current = get(store, &key);
            let next = current.as_deref().map_or(0, counted) + 1;
            if put(store, &key, &entry(&next.to_string()), current.as_deref()) {
                won.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(count))));
    let last = counted(&get(store, &key).expect("somebody won"));
    assert_eq!(last, won.into_inner());
    assert!(last >= 50, "{last}");
}
