use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Instant;

use super::value_files::STRIPES;
use super::*;
use crate::blocking::block_on;
use crate::testing::{self, Clock as _, ManualClock};

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

fn get(store: &dyn Store, key: &Key) -> Option<Bytes> {
    let found = block_on(store.get_one(key, Look::up_to(usize::MAX))).unwrap();
    found.map(|found| found.bytes)
}

fn put(store: &dyn Store, key: &Key, entry: &Bytes, seen: Option<&[u8]>) -> bool {
    block_on(store.put(key, entry.clone(), HOUR, Fence::new(Seen::of(seen), None))).unwrap()
}

#[test]
fn it_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let store = Directory::with_clock(directory.path(), &clock).unwrap();
    testing::store::conformance(&store, &clock);
    let temporary = files(directory.path()).into_iter().find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with('.')
    });
    assert_eq!(temporary, None);
}

/// Each stripe's lock, as another process holds it that is frozen.
fn frozen(directory: &Path) -> Vec<File> {
    let lock = |stripe| {
        let path = directory.join(format!("values/lock-{stripe:x}"));
        let file = files::options()
            .write(true)
            .create(true)
            .open(path)
            .unwrap();
        file.lock().unwrap();
        file
    };
    (0..STRIPES).map(lock).collect()
}

#[test]
fn a_frozen_writer_blocks_no_thread_and_is_waited_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let store = Directory::new(directory.path()).unwrap();
    let key = Key::new("key");
    let locks = frozen(directory.path());
    let mut putting = store.replace(&key, entry(1, "one"), HOUR);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(putting.as_mut().poll(&mut context).is_pending());
    assert_eq!(
        files_but_locks(directory.path()).len(),
        1,
        "the temporary one"
    );
    drop(putting);
    assert_eq!(files_but_locks(directory.path()).len(), 0);

    let begun = Instant::now();
    let error = block_on(store.replace(&key, entry(1, "one"), HOUR)).unwrap_err();
    assert!(begun.elapsed() >= PATIENCE);
    assert_eq!(error.kind(), crate::ErrorKind::Unavailable);
    block_on(store.check()).unwrap();

    let mut putting = store.replace(&key, entry(2, "two"), HOUR);
    assert!(putting.as_mut().poll(&mut context).is_pending());
    drop(locks);
    block_on(putting).unwrap();
    assert_eq!(get(&store, &key), Some(entry(2, "two")));
}

#[test]
fn large_entries_let_others_go_on_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let store = Directory::new(directory.path()).unwrap();
    let key = Key::new("key");
    for (size, polls) in [(1_000, 1), (1 << 20, 4), (5 << 20, 20)] {
        let entry = Bytes::from(vec![1; size]);
        let written = testing::run_for(polls, store.replace(&key, entry.clone(), HOUR));
        written.expect("it takes no longer").unwrap();
        let look = Look::up_to(size);
        let read = testing::run_for(polls + 1, store.get_one(&key, look));
        let read = read.expect("it takes no longer").unwrap().unwrap();
        assert!(read.bytes == entry);
        if polls > 1 {
            assert!(testing::run_for(polls - 1, store.get_one(&key, look)).is_none());
            assert!(testing::run_for(polls - 1, store.replace(&key, entry, HOUR)).is_none());
        }
    }
}

/// A clock that was ahead when a value was stored, and is put right.
#[test]
fn a_value_of_the_future_is_a_miss_and_no_fence() {
    let directory = tempfile::tempdir().unwrap();
    let (right, wrong) = (ManualClock::new(), ManualClock::new());
    wrong.advance(HOUR);
    let ahead = Directory::with_clock(directory.path(), &wrong).unwrap();
    let store = Directory::with_clock(directory.path(), &right).unwrap();
    let key = Key::new("key");
    assert!(put(&ahead, &key, &entry(1, "one"), None));
    assert_eq!(get(&store, &key), None);
    assert!(put(&store, &key, &entry(2, "two"), None));
    assert_eq!(get(&store, &key), Some(entry(2, "two")));
}

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

fn files_but_locks(path: &Path) -> Vec<PathBuf> {
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
    let [file] = &files_but_locks(directory.path())[..] else {
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
    assert_eq!(files_but_locks(directory.path()).len(), 1);
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
