use async_trait::async_trait;
use worksharing::work_shared;

struct Shop;

#[async_trait]
trait Report {
    async fn report(&self) -> u32;
}

#[work_shared]
#[async_trait]
impl Report for Shop {
    async fn report(&self) -> u32 {
        1
    }
}

fn main() {}
