use std::future::Future;
use std::pin::Pin;

use worksharing::work_shared;

#[work_shared]
fn opaque() -> impl Iterator<Item = u32> {
    0..3
}

#[work_shared]
fn future() -> impl Future<Output = u32> {
    async { 1 }
}

#[work_shared]
fn boxed() -> Pin<Box<dyn Future<Output = u32>>> {
    let future = async { 1 };
    Box::pin(future)
}

fn main() {}
