//! What is served: the page, what it shows, and what its buttons do.

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use worksharing::{Key, WorkSharing};

use crate::guard;
use crate::history::{History, View};
use crate::told::Report;
use crate::watch::{lock, whole};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

#[derive(Clone)]
struct App {
    sharing: WorkSharing,
    history: Arc<Mutex<History>>,
}

pub(crate) fn router(sharing: WorkSharing, history: Arc<Mutex<History>>) -> Router {
    Router::new()
        .route("/", get(file(HTML, include_str!("page.html"))))
        .route("/page.css", get(file(CSS, include_str!("page.css"))))
        .route("/page.js", get(file(SCRIPT, include_str!("page.js"))))
        .route(
            "/elements.js",
            get(file(SCRIPT, include_str!("elements.js"))),
        )
        .route(
            "/timeline.js",
            get(file(SCRIPT, include_str!("timeline.js"))),
        )
        .route("/state", get(state))
        .route("/tell", post(tell))
        .route("/invalidate", post(invalidate))
        .layer(from_fn(guard::known_host))
        .with_state(App { sharing, history })
}

/// What it takes to answer with a file, always the same.
fn file(
    kind: &'static str,
    text: &'static str,
) -> impl Fn() -> Ready<([(HeaderName, &'static str); 1], &'static str)> + Clone {
    move || ready(([(CONTENT_TYPE, kind)], text))
}

/// All that the page shows. It asks again and again.
async fn state(State(app): State<App>) -> Json<View> {
    Json(lock(&app.history).view())
}

/// A process tells of itself.
async fn tell(
    State(app): State<App>,
    headers: HeaderMap,
    Json(report): Json<Report>,
) -> Result<StatusCode, StatusCode> {
    if guard::is_from_a_page(&headers) {
        return Err(StatusCode::FORBIDDEN);
    }
    lock(&app.history).hear(report);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Invalidate {
    /// As it is shown: with the namespace.
    key: String,
}

/// The button.
async fn invalidate(
    State(app): State<App>,
    headers: HeaderMap,
    Json(Invalidate { key }): Json<Invalidate>,
) -> Result<StatusCode, (StatusCode, String)> {
    if !guard::is_from_this_page(&headers) {
        let why = "only the dashboard's own page may do this".to_owned();
        return Err((StatusCode::FORBIDDEN, why));
    }
    // Which type its values have does not matter.
    let work = app.sharing.work_of::<()>(Key::new(key.as_str()));
    match work.invalidate().await {
        Ok(()) => {
            lock(&app.history).invalidated(&key);
            Ok(StatusCode::NO_CONTENT)
        }
        Err(error) => Err((StatusCode::BAD_GATEWAY, whole(&error))),
    }
}
