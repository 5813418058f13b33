//! A process that calls `worksharing` as its standard input tells it. See `tests::Worker`.

fn main() {
    tests::worker_main();
}
