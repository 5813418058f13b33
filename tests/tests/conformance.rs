//! The stores and locks of real servers do what every store and lock must do.

use tests::{on_each_backend, on_each_store};
use worksharing::testing::{self, RealTime};

#[test]
fn stores_are_stores() {
    on_each_store(|backend, build| {
        eprintln!("{backend}:");
        let (store, _) = testing::backends(&build());
        testing::store::conformance(&store, &RealTime);
    });
}

#[test]
fn locks_are_locks() {
    on_each_backend(|backend, build| {
        eprintln!("{backend}:");
        // Each is as good as another process.
        let [(_, one), (_, other)] = [(); 2].map(|()| testing::backends(&build()));
        testing::lock::conformance(&[&one, &other]);
    });
}
