//! A web service with an expensive page. Run it twice, and the two share the work.
//!
//! ```text
//! export WORKSHARING_DIRECTORY=/tmp/reports      # or WORKSHARING_POSTGRES_URL and WORKSHARING_REDIS_URL
//! cargo run --release --example axum_report -- 3001 &
//! cargo run --release --example axum_report -- 3002 &
//!
//! curl localhost:3001/report/2024 & curl localhost:3002/report/2024   # 3 s, computed by one of them
//! curl localhost:3002/report/2024                                     # at once
//! curl localhost:3001/report/2999                                     # an error: it is not shared
//! curl -X DELETE localhost:3001/report/2024                           # the next one computes it anew
//! curl localhost:3001/stats
//!
//! kill %1 %2
//! ```

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::LevelFilter;
use worksharing::{WorkSharing, work_shared};

#[derive(Serialize, Deserialize)]
struct Report {
    year: u16,
    orders: u64,
    computed_by: u32,
}

/// The expensive part. `Ok` is stored and shared; an `Err` goes to its own caller only.
#[work_shared(ttl = "60s", key = "report:{year}")]
async fn report(year: u16) -> Result<Report, String> {
    if year > 2100 {
        return Err(format!("there are no orders of {year} yet"));
    }
    println!("computing the report of {year} …");
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(Report {
        year,
        orders: u64::from(year) * 17,
        computed_by: std::process::id(),
    })
}

async fn page(Path(year): Path<u16>) -> Result<Json<Report>, (StatusCode, String)> {
    report(year)
        .await
        .map(Json)
        .map_err(|message| (StatusCode::NOT_FOUND, message + "\n"))
}

/// Forgets a stored report. A computation that is under way will not be stored either.
async fn forget(
    State(sharing): State<WorkSharing>,
    Path(year): Path<u16>,
) -> Result<StatusCode, (StatusCode, String)> {
    let work = sharing.work::<Report>(format!("report:{year}"));
    let forgotten = work.invalidate().await;
    forgotten
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

async fn stats(State(sharing): State<WorkSharing>) -> String {
    format!("{:#?}\n", sharing.stats())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .init();
    let sharing = WorkSharing::from_env()?;
    sharing.install()?;
    // Optional: without it the servers are connected to by the first call, and trouble is only a warning.
    sharing.check()?;

    let pages = Router::new()
        .route("/report/{year}", get(page).delete(forget))
        .route("/stats", get(stats))
        .with_state(sharing);
    let port = std::env::args().nth(1).unwrap_or("3001".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!(
        "process {} listens on http://{}",
        std::process::id(),
        listener.local_addr()?
    );
    axum::serve(listener, pages).await?;
    Ok(())
}
