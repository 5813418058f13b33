use serde::{Deserialize, Serialize};
use worksharing::work_shared;

#[derive(Serialize, Deserialize)]
struct NoClone(u32);

#[derive(Clone, Serialize, Deserialize)]
struct NotSync(std::cell::Cell<u32>);

#[work_shared(local = "5s")]
fn plain(n: u32) -> NoClone {
    NoClone(n)
}

#[work_shared(local = "5s", handle = not_sync_call)]
async fn not_sync(n: u32) -> Result<NotSync, String> {
    Ok(NotSync(std::cell::Cell::new(n)))
}

#[work_shared(local = "5s", detach)]
async fn inside(n: u32) -> Option<NoClone> {
    Some(NoClone(n))
}

#[work_shared]
fn without(n: u32) -> NoClone {
    NoClone(n)
}

fn main() {}
