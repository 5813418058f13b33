//! A web service with an expensive page. Run it twice, and the two share the work.
//!
//! ```text
//! export WORKSHARING_DIRECTORY=/tmp/reports      # or WORKSHARING_POSTGRES_URL, and WORKSHARING_REDIS_URL
//! cargo run --release --example axum_report -- 3001 &
//! cargo run --release --example axum_report -- 3002 &
//!
//! curl localhost:3001/report/2024 & curl localhost:3002/report/2024   # 4 s, computed by one of them
//! curl localhost:3002/report/2024                                     # at once
//! curl localhost:3001/report/2999                                     # an error: it is not stored
//! curl -X DELETE localhost:3001/report/2024                           # the next one computes it anew
//! curl -X POST localhost:3001/orders/2024     # with PostgreSQL: so does an order, in its own transaction
//!
//! for try in 1 2; do curl --max-time 3 localhost:3001/report/2025; done     # impatient: the second one is served
//! for try in 1 2; do curl --max-time 3 localhost:3001/attached/2025; done   # without `detach` none ever is
//! curl localhost:3001/stats
//!
//! kill %1 %2          # what is being computed is finished first, for the other process and the next start
//! ```

mod orders;

use std::env;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;
use worksharing::{WorkSharing, work_shared};

use self::orders::Orders;

/// What all requests use. Without PostgreSQL there are no orders, and the reports are made up.
#[derive(Clone)]
struct App {
    sharing: WorkSharing,
    orders: Option<Orders>,
}

#[derive(Serialize, Deserialize)]
struct Report {
    year: u16,
    orders: u64,
    computed_by: u32,
}

/// Why there is none. `Clone`: everybody who waited for it is given it.
#[derive(Clone)]
enum Unavailable {
    NotYet(u16),
    StillComputing,
    NoOrders(String),
}

/// The expensive part.
///
/// A client that hangs up does not end it. When a report is older than a minute, whoever asks gets the old one at once,
/// while one process makes a new one; and who would have to wait for longer than half a minute is told so. An order of
/// that year makes an end of it, however new it is.
#[work_shared(
    key = "report:{year}",
    tags("orders:{year}"),
    skip(orders),
    ttl = "60s",
    stale_while_revalidate = "1h",
    detach,
    wait = "30s",
    on_timeout = Err(Unavailable::StillComputing),
)]
async fn report(orders: Option<&Orders>, year: u16) -> Result<Report, Unavailable> {
    compute(orders, year).await
}

/// The same without `detach`, to compare with: it ends with the request that began it.
#[work_shared(key = "attached:{year}", skip(orders), ttl = "60s")]
async fn attached_report(orders: Option<&Orders>, year: u16) -> Result<Report, Unavailable> {
    compute(orders, year).await
}

async fn compute(orders: Option<&Orders>, year: u16) -> Result<Report, Unavailable> {
    if year > 2100 {
        return Err(Unavailable::NotYet(year));
    }
    println!("computing the report of {year} …");
    let orders = match orders {
        Some(orders) => orders.count(year).await?,
        None => u64::from(year) * 17,
    };
    tokio::time::sleep(Duration::from_secs(4)).await;
    println!("computed the report of {year}");
    Ok(Report {
        year,
        orders,
        computed_by: std::process::id(),
    })
}

async fn page(State(app): State<App>, Path(year): Path<u16>) -> Result<Json<Report>, Unavailable> {
    report(app.orders.as_ref(), year).await.map(Json)
}

async fn attached_page(
    State(app): State<App>,
    Path(year): Path<u16>,
) -> Result<Json<Report>, Unavailable> {
    let report = attached_report(app.orders.as_ref(), year).await;
    report.map(Json)
}

/// Takes an order.
async fn order(State(app): State<App>, Path(year): Path<u16>) -> Result<StatusCode, Unavailable> {
    let Some(orders) = &app.orders else {
        return Err(Unavailable::NoOrders("they are kept in PostgreSQL".into()));
    };
    let invalidation = app.sharing.tag_invalidation_sql(format!("orders:{year}"));
    orders.take(year, &invalidation).await?;
    Ok(StatusCode::CREATED)
}

impl From<tokio_postgres::Error> for Unavailable {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::NoOrders(error.to_string())
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NotYet(year) => (
                StatusCode::NOT_FOUND,
                format!("there are no orders of {year} yet\n"),
            ),
            Self::StillComputing => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the report is still being computed\n".to_owned(),
            ),
            Self::NoOrders(why) => (StatusCode::BAD_GATEWAY, format!("no orders: {why}\n")),
        };
        (status, message).into_response()
    }
}

/// Forgets a stored report. A computation that is under way will not be stored either.
async fn forget(
    State(app): State<App>,
    Path(year): Path<u16>,
) -> Result<StatusCode, (StatusCode, String)> {
    let work = app.sharing.work::<Report>(format!("report:{year}"));
    let forgotten = work.invalidate().await;
    forgotten
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

async fn stats(State(app): State<App>) -> String {
    format!("{:#?}\n", app.sharing.stats())
}

/// As the environment says; and where the orders are in PostgreSQL, their transactions may invalidate.
fn sharing(postgres: Option<&str>) -> Result<WorkSharing, worksharing::Error> {
    let Some(url) = postgres else {
        return WorkSharing::from_env();
    };
    let mut builder = WorkSharing::builder()
        .postgres(url)
        .transactional_invalidation(true);
    if let Ok(url) = env::var("WORKSHARING_REDIS_URL") {
        builder = builder.redis(&url);
    }
    builder.build()
}

/// Ctrl-C, or what a service manager sends.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    // Where it cannot be listened for, it ends the process at once.
    let _ = tokio::signal::ctrl_c().await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .init();
    let postgres = env::var("WORKSHARING_POSTGRES_URL").ok();
    let sharing = sharing(postgres.as_deref())?;
    sharing.install()?;
    // Optional: without it the servers are connected to by the first call, and trouble is only a warning.
    sharing.check()?;
    let orders = match &postgres {
        Some(url) => Some(Orders::in_postgres(url).await?),
        None => None,
    };
    let app = App {
        sharing: sharing.clone(),
        orders,
    };

    let pages = Router::new()
        .route("/report/{year}", get(page).delete(forget))
        .route("/attached/{year}", get(attached_page))
        .route("/orders/{year}", post(order))
        .route("/stats", get(stats))
        .with_state(app);
    let port = std::env::args().nth(1).unwrap_or("3001".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!(
        "process {} listens on http://{}",
        std::process::id(),
        listener.local_addr()?
    );
    // First the requests are answered, then what is computed for clients that have gone is finished.
    axum::serve(listener, pages)
        .with_graceful_shutdown(asked_to_end())
        .await?;
    sharing.drain(Duration::from_secs(30)).await?;
    Ok(())
}
