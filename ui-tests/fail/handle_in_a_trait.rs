use async_trait::async_trait;
use worksharing::work_shared;

struct Shop;

#[async_trait]
trait Report {
    async fn report(&self) -> u32;
}

#[async_trait]
impl Report for Shop {
    #[work_shared(skip_all, handle = report_call)]
    async fn report(&self) -> u32 {
        1
    }
}

fn main() {}
