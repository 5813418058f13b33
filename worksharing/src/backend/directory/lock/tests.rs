use std::thread;

use super::*;
use crate::blocking::block_on;
use crate::lock::Caller;
use crate::testing::lock::{conformance, excludes};

#[test]
fn callers_exclude_each_other_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    excludes(&[&Directory::new(directory.path()).unwrap()], 8, 500);
    // As in several processes, which know nothing of each other.
    let [one, two, three] = [(); 3].map(|()| Directory::new(directory.path()).unwrap());
    excludes(&[&one, &two, &three], 2, 50);
    assert_eq!(
        fs::read_dir(directory.path().join("locks"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn it_is_a_lock() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| Directory::new(directory.path()).unwrap());
    conformance(&[&one]);
    conformance(&[&one, &other]);
}

/// Two instances know nothing of each other, as two processes do.
#[test]
fn another_instance_is_kept_out_and_woken() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| Directory::new(directory.path()).unwrap());
    let key = Key::new("key");
    let guard = block_on(one.try_lock(&key, Caller::Outermost))
        .unwrap()
        .unwrap();
    assert!(
        block_on(other.try_lock(&key, Caller::Outermost))
            .unwrap()
            .is_none()
    );
    let mut waiter = block_on(other.register_waiter(&key)).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(waiter.woken()).unwrap());
        drop(guard);
        assert!(waiting.join().unwrap().is_none());
    });
    assert!(
        block_on(other.try_lock(&key, Caller::Outermost))
            .unwrap()
            .is_some()
    );
}

#[test]
fn an_unusable_path_says_what_to_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Directory::new(file.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    assert!(
        error
            .to_string()
            .contains("name a directory that this user may write to"),
        "{error}"
    );
}

#[test]
fn check_finds_that_it_works() {
    let directory = tempfile::tempdir().unwrap();
    let locks = Directory::new(directory.path()).unwrap();
    block_on(locks.check()).unwrap();
    // A directory that was cleaned away comes back by itself.
    fs::remove_dir_all(directory.path()).unwrap();
    block_on(locks.check()).unwrap();
    assert!(
        block_on(locks.try_lock(&Key::new("key"), Caller::Outermost))
            .unwrap()
            .is_some()
    );
}

#[test]
#[cfg(unix)]
fn a_lock_on_a_removed_file_is_worth_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let late = open(&path).unwrap();
    let holder = take(&path).unwrap().unwrap();
    release(&path, &holder);
    assert!(matches!(lock_opened(late, &path), Ok(Taken::Vanished)));
    let late = open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _successor = take(&path).unwrap().unwrap();
    assert!(matches!(lock_opened(late, &path), Ok(Taken::Vanished)));
}
