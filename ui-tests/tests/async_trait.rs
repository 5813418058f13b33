//! Methods of traits and impls under `#[async_trait]`, which rewrites them before the attribute sees
//! them.

use async_trait::async_trait;
use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

#[async_trait]
trait Pages {
    async fn page(&self, path: &str, limit: u32) -> Result<u64, String>;
    async fn by_pattern(&self, pair: (u32, u32)) -> u64;
    async fn associated(n: u32) -> u64
    where
        Self: Sized;
    async fn mutable(&mut self, n: u64) -> u64;

    #[work_shared(key = "provided:{n}")]
    async fn provided(&self, n: u32) -> Option<u64> {
        Some(tick())
    }
}

#[derive(Debug)]
struct Site {
    name: String,
    count: u64,
}

#[async_trait]
impl Pages for Site {
    #[work_shared(ttl = "1m", force_refresh = limit == 0)]
    async fn page(&self, path: &str, limit: u32) -> Result<u64, String> {
        if path.is_empty() {
            return Err(self.name.clone());
        }
        tokio::task::yield_now().await;
        Ok(tick())
    }

    #[work_shared]
    async fn by_pattern(&self, (a, b): (u32, u32)) -> u64 {
        let _ = a + b;
        tick()
    }

    #[work_shared]
    async fn associated(n: u32) -> u64 {
        let _ = n;
        tick()
    }

    #[work_shared(key = "{self.name}:{n}")]
    async fn mutable(&mut self, mut n: u64) -> u64 {
        n += 1;
        self.count += n;
        tick()
    }
}

struct Local(WorkSharing);

#[async_trait(?Send)]
trait Here {
    async fn here(&self, n: std::rc::Rc<u32>) -> u64;
}

#[async_trait(?Send)]
impl Here for Local {
    #[work_shared(via = self.0, skip(self))]
    async fn here(&self, n: std::rc::Rc<u32>) -> u64 {
        tokio::task::yield_now().await;
        let _ = n;
        tick()
    }
}

fn site(name: &str) -> Site {
    Site {
        name: name.into(),
        count: 0,
    }
}

#[tokio::test]
async fn methods_share() {
    let (one, two) = (site("one"), site("two"));
    assert_eq!(one.page("a", 1).await, one.page("a", 1).await);
    assert_ne!(one.page("a", 1).await, one.page("b", 1).await);
    assert_ne!(one.page("a", 1).await, two.page("a", 1).await);
    assert_ne!(one.page("a", 1).await, one.page("a", 0).await);
    assert_eq!(one.page("", 1).await, Err("one".into()));
    assert_eq!(one.by_pattern((1, 2)).await, one.by_pattern((1, 2)).await);
    assert_ne!(one.by_pattern((1, 2)).await, one.by_pattern((2, 1)).await);
    assert_eq!(Site::associated(1).await, Site::associated(1).await);
    assert_ne!(Site::associated(1).await, Site::associated(2).await);
    assert_eq!(one.provided(1).await, two.provided(1).await);
}

#[tokio::test]
async fn a_mutable_receiver_reaches_the_body() {
    let mut one = site("one");
    assert_eq!(one.mutable(2).await, one.mutable(2).await);
    assert_eq!(one.count, 3);
}

#[tokio::test]
async fn behind_dyn_and_spawned() {
    let site: Box<dyn Pages + Send + Sync> = Box::new(site("dyn"));
    let site = std::sync::Arc::from(site);
    let pages: [std::sync::Arc<dyn Pages + Send + Sync>; 2] = [std::sync::Arc::clone(&site), site];
    let spawned = pages.map(|site| tokio::spawn(async move { site.provided(7).await }));
    let [one, two] = spawned;
    assert_eq!(one.await.unwrap(), two.await.unwrap());
}

#[tokio::test]
async fn without_send() {
    let local = Local(WorkSharing::in_memory());
    assert_eq!(local.here(1.into()).await, local.here(1.into()).await);
    assert_ne!(local.here(1.into()).await, local.here(2.into()).await);
}
