//! What every store must do, shown on those that need no server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Directory, Fence, Look, Memory, Seen, Store};
use crate::Key;
use crate::blocking::block_on;

const HOUR: Duration = Duration::from_secs(3600);

fn entry(id: u64, payload: &str) -> Bytes {
    [
        b"magicWSE".as_slice(),
        &id.to_le_bytes(),
        &[0; 8],
        payload.as_bytes(),
    ]
    .concat()
    .into()
}

fn each(test: impl Fn(&dyn Store)) {
    test(&Memory::new());
    let directory = tempfile::tempdir().unwrap();
    test(&Directory::new(directory.path()).unwrap());
}

fn get(store: &dyn Store, key: &Key) -> Option<Bytes> {
    let found = block_on(store.get(std::slice::from_ref(key), Look::up_to(usize::MAX))).unwrap();
    found.into_iter().next().flatten().map(|found| found.bytes)
}

fn put(store: &dyn Store, key: &Key, entry: &Bytes, seen: Option<&[u8]>) -> bool {
    block_on(store.put(key, entry.clone(), HOUR, Fence::new(Seen::of(seen), None))).unwrap()
}

#[test]
fn what_is_put_is_got() {
    each(|store| {
        block_on(store.check()).unwrap();
        let [key, other] = ["key", "other"].map(Key::new);
        assert_eq!(get(store, &key), None);
        assert!(put(store, &key, &entry(1, "one"), None));
        assert_eq!(get(store, &key), Some(entry(1, "one")));
        assert_eq!(get(store, &other), None);
    });
}

#[test]
fn a_put_is_fenced() {
    each(|store| {
        let key = Key::new("key");
        let [one, two, three] = [1, 2, 3].map(|id| entry(id, "payload"));
        assert!(
            put(store, &key, &one, Some(&three)),
            "nothing there is no objection"
        );
        assert!(
            !put(store, &key, &two, None),
            "something came where nothing was seen"
        );
        assert!(
            !put(store, &key, &two, Some(&three)),
            "something else was seen"
        );
        assert_eq!(get(store, &key), Some(one.clone()));
        assert!(put(store, &key, &two, Some(&one)));
        block_on(store.replace(&key, three.clone(), HOUR)).unwrap();
        assert!(!put(store, &key, &one, Some(&two)), "replaced since");
        assert_eq!(get(store, &key), Some(three));
    });
}

#[test]
fn an_expired_entry_is_a_miss_and_no_fence() {
    each(|store| {
        let key = Key::new("key");
        let begun = Instant::now();
        block_on(store.replace(&key, entry(1, ""), Duration::from_millis(20))).unwrap();
        while get(store, &key).is_some() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it never expires");
            thread::yield_now();
        }
        assert!(
            begun.elapsed() >= Duration::from_millis(20),
            "it expired early"
        );
        assert!(put(store, &key, &entry(2, ""), None));
    });
}

/// Of those who saw the same, one wins: else what they count would be lost.
#[test]
fn of_many_puts_that_saw_the_same_one_wins() {
    each(|store| {
        let key = Key::new("counter");
        let (ids, won) = (AtomicUsize::new(1), AtomicUsize::new(0));
        let count = || {
            for _ in 0..200 {
                let current = get(store, &key);
                let value = current.as_ref().map_or(0, |bytes| {
                    str::from_utf8(&bytes[Seen::LEN..])
                        .unwrap()
                        .parse::<usize>()
                        .unwrap()
                });
                let id = ids.fetch_add(1, Ordering::Relaxed) as u64;
                let next = entry(id, &(value + 1).to_string());
                if put(store, &key, &next, current.as_deref()) {
                    won.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(count))));
        let last = get(store, &key).unwrap();
        let counted: usize = str::from_utf8(&last[Seen::LEN..]).unwrap().parse().unwrap();
        assert_eq!(counted, won.into_inner());
        assert!(counted >= 200);
    });
}

mod directory {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(path: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| {
                if path.is_dir() {
                    files(&path)
                } else {
                    vec![path]
                }
            })
            .collect()
    }

    fn value_files(path: &Path) -> Vec<PathBuf> {
        let lock = |path: &PathBuf| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("lock-")
        };
        files(path).into_iter().filter(|path| !lock(path)).collect()
    }

    #[test]
    fn instances_share_their_files() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Directory::new(directory.path()).unwrap());
        let key = Key::new("key");
        assert!(put(&one, &key, &entry(1, "one"), None));
        assert_eq!(get(&other, &key), Some(entry(1, "one")));
        assert!(!put(&other, &key, &entry(2, "two"), None));
    }

    #[test]
    fn a_foreign_or_damaged_file_is_a_miss_and_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let store = Directory::new(directory.path()).unwrap();
        let key = Key::new("key");
        assert!(put(&store, &key, &entry(1, "one"), None));
        let [file] = &value_files(directory.path())[..] else {
            panic!("one file expected")
        };
        for content in [
            &b""[..],
            b"short",
            b"something else that is long enough to be an entry",
        ] {
            fs::write(file, content).unwrap();
            assert_eq!(get(&store, &key), None);
            assert!(put(&store, &key, &entry(2, "two"), None));
            assert_eq!(get(&store, &key), Some(entry(2, "two")));
        }
    }

    #[test]
    fn expired_and_stray_files_are_swept() {
        let directory = tempfile::tempdir().unwrap();
        let store = Directory::new(directory.path()).unwrap();
        for n in 0..50 {
            let key = Key::new(format!("old {n}"));
            block_on(store.replace(&key, entry(n, ""), Duration::ZERO)).unwrap();
        }
        let stray = directory.path().join("values/00");
        fs::create_dir_all(&stray).unwrap();
        let stray = stray.join(".0123456789abcdef");
        let ages = fs::FileTimes::new().set_modified(std::time::SystemTime::now() - 2 * HOUR);
        fs::File::create(&stray).unwrap().set_times(ages).unwrap();
        let key = Key::new("live");
        for n in 0..200 {
            block_on(store.replace(&key, entry(n, ""), HOUR)).unwrap();
        }
        assert_eq!(value_files(directory.path()).len(), 1);
        assert!(get(&store, &key).is_some());
    }

    #[test]
    fn it_comes_back_when_cleaned_away() {
        let directory = tempfile::tempdir().unwrap();
        let store = Directory::new(directory.path()).unwrap();
        let key = Key::new("key");
        assert!(put(&store, &key, &entry(1, "one"), None));
        fs::remove_dir_all(directory.path()).unwrap();
        assert_eq!(get(&store, &key), None);
        assert!(put(&store, &key, &entry(1, "one"), None));
    }

    #[test]
    fn an_unusable_path_says_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Directory::new(file.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("name a directory that this user may write to"),
            "{error}"
        );
    }
}
