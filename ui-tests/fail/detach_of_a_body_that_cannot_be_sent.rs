use std::rc::Rc;

use worksharing::work_shared;

#[work_shared(detach)]
async fn across_an_await(n: u32) -> u32 {
    let counted = Rc::new(n);
    std::future::ready(()).await;
    *counted
}

fn main() {}
