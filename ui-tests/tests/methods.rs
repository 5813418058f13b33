//! Methods: the receiver, its type and its trait are part of the default key.

use std::pin::Pin;
use std::sync::Arc;

use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Shop {
    id: u32,
    calls: u32,
}

#[derive(Debug)]
struct Wrapped<T>(T);

trait Report<Of> {
    fn report(&self, of: u32) -> u64;

    #[work_shared(skip(self))]
    fn provided(&self, of: u32) -> u64 {
        let _ = of;
        tick()
    }
}

impl Shop {
    fn new(id: u32) -> Self {
        Self { id, calls: 0 }
    }

    #[work_shared]
    fn by_reference(&self, year: u32) -> u64 {
        let _ = year;
        tick()
    }

    #[work_shared(key = "shop:{self.id}:count")]
    fn by_mutable_reference(&mut self) -> u64 {
        self.calls += 1;
        tick()
    }

    #[work_shared]
    fn by_value(self) -> (u64, Self) {
        (tick(), self.moved())
    }

    #[work_shared]
    fn by_mutable_value(mut self) -> (u64, Self) {
        self.calls = 7;
        (tick(), self)
    }

    #[work_shared]
    fn by_box(self: Box<Self>) -> u64 {
        tick()
    }

    #[work_shared(key = "{self.id}")]
    fn by_arc(self: &Arc<Self>) -> u64 {
        tick()
    }

    #[work_shared]
    async fn by_pin(self: Pin<&mut Self>, n: u32) -> u64 {
        let _ = n;
        tick()
    }

    #[work_shared]
    async fn async_by_reference(&self, year: u32) -> Result<u64, String> {
        if year == 0 {
            Err(format!("shop {}", self.id))?
        }
        Ok(tick())
    }

    #[work_shared]
    fn associated(year: u32) -> (u64, Shop) {
        (tick(), Self::new(year))
    }

    #[work_shared(skip(self))]
    fn of_all_shops(&self) -> u64 {
        tick()
    }

    fn moved(self) -> Self {
        self
    }
}

impl<T: std::fmt::Debug> Wrapped<T> {
    #[work_shared]
    fn inner(&self) -> u64 {
        tick()
    }

    #[work_shared]
    fn associated() -> u64 {
        tick()
    }
}

impl Report<u8> for Shop {
    #[work_shared]
    fn report(&self, of: u32) -> u64 {
        let _ = of;
        tick()
    }
}

impl Report<u16> for Shop {
    #[work_shared]
    fn report(&self, of: u32) -> u64 {
        let _ = of;
        tick()
    }
}

#[test]
fn receivers_of_every_kind() {
    let (one, two) = (Shop::new(1), Shop::new(2));
    assert_eq!(one.by_reference(1), one.by_reference(1));
    assert_ne!(one.by_reference(1), two.by_reference(1));
    assert_ne!(one.by_reference(1), one.by_reference(2));
    assert_eq!(one.clone().by_value(), one.clone().by_value());
    assert_ne!(one.clone().by_value().0, two.clone().by_value().0);
    assert_eq!(
        one.clone().by_mutable_value(),
        one.clone().by_mutable_value()
    );
    assert_eq!(one.clone().by_mutable_value().1.calls, 7);
    assert_eq!(
        Box::new(one.clone()).by_box(),
        Box::new(one.clone()).by_box()
    );
    assert_ne!(
        Box::new(one.clone()).by_box(),
        Box::new(two.clone()).by_box()
    );
    let (one, two) = (Arc::new(one), Arc::new(two));
    assert_eq!(one.by_arc(), one.by_arc());
    assert_ne!(one.by_arc(), two.by_arc());
}

#[test]
fn a_mutable_receiver_reaches_the_body() {
    let mut shop = Shop::new(3);
    let (first, second) = (shop.by_mutable_reference(), shop.by_mutable_reference());
    assert_eq!(first, second);
    assert_eq!(shop.calls, 1);
}

#[tokio::test]
async fn async_receivers() {
    let (mut one, two) = (Shop::new(1), Shop::new(2));
    assert_eq!(
        one.async_by_reference(1).await,
        one.async_by_reference(1).await
    );
    assert_ne!(
        one.async_by_reference(1).await,
        two.async_by_reference(1).await
    );
    assert_eq!(two.async_by_reference(0).await, Err("shop 2".into()));
    let first = Pin::new(&mut one).by_pin(1).await;
    assert_eq!(first, Pin::new(&mut one).by_pin(1).await);
}

#[test]
fn types_and_traits_tell_methods_apart() {
    assert_eq!(Shop::associated(1), Shop::associated(1));
    assert_eq!(Wrapped::<u8>::associated(), Wrapped::<u8>::associated());
    assert_ne!(Wrapped::<u8>::associated(), Wrapped::<u16>::associated());
    assert_ne!(Wrapped(1u8).inner(), Wrapped(1u16).inner());
    let shop = Shop::new(1);
    assert_eq!(
        Report::<u8>::report(&shop, 1),
        Report::<u8>::report(&shop, 1)
    );
    assert_ne!(
        Report::<u8>::report(&shop, 1),
        Report::<u16>::report(&shop, 1)
    );
    assert_ne!(Report::<u8>::report(&shop, 1), shop.by_reference(1));
}

#[test]
fn provided_methods_of_a_trait() {
    let shop = Shop::new(1);
    assert_eq!(
        Report::<u8>::provided(&shop, 1),
        Report::<u8>::provided(&shop, 1)
    );
    assert_ne!(
        Report::<u8>::provided(&shop, 1),
        Report::<u16>::provided(&shop, 1)
    );
    let object: &dyn Report<u8> = &shop;
    assert_eq!(object.provided(1), object.provided(1));
    assert_eq!(shop.of_all_shops(), Shop::new(2).of_all_shops());
}

struct Service {
    sharing: WorkSharing,
    shared: Arc<WorkSharing>,
}

impl Service {
    #[work_shared(via = self.sharing, skip(self))]
    fn owned(&self) -> u64 {
        tick()
    }

    #[work_shared(via = &self.sharing, skip(self))]
    fn borrowed(&self) -> u64 {
        tick()
    }

    #[work_shared(via = self.shared, skip(self))]
    fn counted(&self) -> u64 {
        tick()
    }

    #[work_shared(via = &self.shared, skip_all)]
    async fn borrowed_counted(&self) -> u64 {
        tick()
    }

    #[work_shared(via = self.get(), skip_all)]
    fn made(&self) -> u64 {
        tick()
    }

    fn get(&self) -> WorkSharing {
        self.sharing.clone()
    }
}

#[tokio::test]
async fn a_runtime_of_their_own() {
    let service = || {
        let sharing = WorkSharing::in_memory();
        Service {
            shared: Arc::new(sharing.clone()),
            sharing,
        }
    };
    let (one, two) = (service(), service());
    assert_eq!(one.owned(), one.owned());
    assert_ne!(one.owned(), two.owned());
    assert_eq!(one.borrowed(), one.borrowed());
    assert_ne!(one.borrowed(), two.borrowed());
    assert_eq!(one.counted(), one.counted());
    assert_ne!(one.counted(), two.counted());
    assert_eq!(one.borrowed_counted().await, one.borrowed_counted().await);
    assert_ne!(one.borrowed_counted().await, two.borrowed_counted().await);
    assert_eq!(one.made(), one.made());
    assert_ne!(one.made(), two.made());
}

trait Native {
    async fn native(&self, year: u32) -> Result<u64, String>;
}

impl Native for Shop {
    #[work_shared]
    async fn native(&self, year: u32) -> Result<u64, String> {
        tokio::task::yield_now().await;
        Ok(tick() + u64::from(year))
    }
}

#[tokio::test]
async fn async_methods_of_a_trait() {
    let (one, two) = (Shop::new(1), Shop::new(2));
    assert_eq!(one.native(1).await, one.native(1).await);
    assert_ne!(one.native(1).await, two.native(1).await);
}
