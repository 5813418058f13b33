//! What is counted of each function.

use worksharing::{WorkSharing, work_shared};

#[work_shared(via = sharing, key = "price:{article}", local = "1h")]
fn price(sharing: &WorkSharing, article: u32) -> u32 {
    article * 10
}

#[work_shared(via = sharing, key = "stock:{article}", name = "warehouse")]
async fn stock(sharing: &WorkSharing, article: u32) -> Result<u32, String> {
    match article {
        0 => Err("there is none".to_owned()),
        _ => Ok(article + 1),
    }
}

#[tokio::test]
async fn each_function_is_counted_by_its_label() {
    let sharing = WorkSharing::in_memory();
    (0..5).for_each(|_| assert_eq!(price(&sharing, 1), 10));
    for article in [1, 1, 0] {
        assert_eq!(stock(&sharing, article).await.is_ok(), article > 0);
    }
    sharing.work("by hand").run_blocking(|| 1);
    let prices = sharing.stats_of("functions::price");
    assert_eq!((prices.computed, prices.local, prices.hits), (1, 4, 0));
    let stocks = sharing.stats_of("warehouse");
    assert_eq!((stocks.computed, stocks.hits, stocks.failed), (2, 1, 1));
    assert_eq!(sharing.stats_of("nobody's"), Default::default());
    let by_function: Vec<_> = sharing.stats_by_function().collect();
    let names: Vec<_> = by_function.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["functions::price", "warehouse", "work"]);
    let computed: u64 = by_function.iter().map(|(_, stats)| stats.computed).sum();
    assert_eq!(computed, sharing.stats().computed);
}
