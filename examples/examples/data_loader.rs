//! Posts and who wrote them, without "N + 1 queries": a data loader over a table of PostgreSQL.
//!
//! ```text
//! export WORKSHARING_POSTGRES_URL=postgres://user:password@localhost/app    # and WORKSHARING_REDIS_URL
//! cargo run --release --example data_loader
//! ```
//!
//! It makes a table of its own, `worksharing_example_authors`, and removes it at the end. Each line says how often the
//! table was asked, and for how many authors.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, NoTls};
use worksharing::{WorkSharing, work_shared};

const TABLE: &str = "
    DROP TABLE IF EXISTS worksharing_example_authors;
    CREATE TABLE worksharing_example_authors (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO worksharing_example_authors SELECT id, 'author ' || id FROM generate_series(1, 300) id";

/// What went wrong, for people.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A connection, and what it was asked.
#[derive(Clone)]
struct Db {
    client: Arc<Client>,
    queries: Arc<AtomicUsize>,
    rows: Arc<AtomicUsize>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Author {
    name: String,
}

struct Post {
    author: i32,
}

/// `Clone`: everybody who waited for it is given it.
#[derive(Clone, Debug)]
struct Failed(String);

/// The authors of a page. The body is called with those that are stored nowhere, and that nobody is asking for now.
#[work_shared(
    each = id in ids,
    key = "example author:{id}",
    tags("example authors"),
    ttl = "10m",
    stale_if_error = "1h",
    detach,
    handle = authors_call,
)]
async fn authors(db: &Db, ids: &BTreeSet<i32>) -> Result<HashMap<i32, Author>, Failed> {
    let ids: Vec<i32> = ids.iter().copied().collect();
    let query = "SELECT id, name FROM worksharing_example_authors WHERE id = ANY($1)";
    let rows = db.client.query(query, &[&ids]).await;
    let rows = rows.map_err(|error| Failed(error.to_string()))?;
    db.queries.fetch_add(1, Relaxed);
    db.rows.fetch_add(rows.len(), Relaxed);
    let author = |row: tokio_postgres::Row| (row.get(0), Author { name: row.get(1) });
    Ok(rows.into_iter().map(author).collect())
}

/// 50 posts by 30 authors; the next page has ten of them, too.
fn posts(page: i32) -> Vec<Post> {
    let post = |n: i32| Post {
        author: 20 * (page - 1) + 1 + n % 30,
    };
    (0..50).map(post).collect()
}

async fn bylines(db: &Db, page: i32) -> Result<Vec<String>, Failed> {
    let posts = posts(page);
    let authors = authors(db, &posts.iter().map(|post| post.author).collect()).await?;
    let byline = |post: &Post| Some(authors.get(&post.author)?.name.clone());
    Ok(posts.iter().filter_map(byline).collect())
}

impl Db {
    async fn connect(url: &str) -> Result<Self, Trouble> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(TABLE).await?;
        Ok(Self {
            client: Arc::new(client),
            queries: Arc::default(),
            rows: Arc::default(),
        })
    }

    /// Says what it was asked since it said so last.
    fn tell(&self, what: &str) {
        let (queries, rows) = (self.queries.swap(0, Relaxed), self.rows.swap(0, Relaxed));
        println!("{what}: {queries} queries for {rows} authors");
    }
}

async fn show(db: &Db, sharing: &WorkSharing) -> Result<(), Trouble> {
    sharing.invalidate_tag("example authors").await?;
    let failed = |Failed(why)| why;
    bylines(db, 1).await.map_err(failed)?;
    db.tell("page 1");
    bylines(db, 2).await.map_err(failed)?;
    db.tell("page 2, with ten of the same authors");
    bylines(db, 1).await.map_err(failed)?;
    db.tell("page 1 again");

    let rename = "UPDATE worksharing_example_authors SET name = 'nobody' WHERE id = $1";
    db.client.execute(rename, &[&7]).await?;
    authors_call(db, &BTreeSet::from([7])).invalidate().await?;
    let anew = bylines(db, 1).await.map_err(failed)?;
    assert_eq!(anew[6], "nobody");
    db.tell("page 1 after one was renamed");

    let pages: Vec<_> = (1..=13)
        .map(|page| {
            let db = db.clone();
            tokio::spawn(async move { bylines(&db, page).await })
        })
        .collect();
    for page in pages {
        assert_eq!(page.await?.map_err(failed)?.len(), 50);
    }
    let (queries, rows) = (db.queries.load(Relaxed), db.rows.load(Relaxed));
    assert!(queries <= 11 && rows == 220, "{queries} queries for {rows}");
    db.tell("13 pages at once, with 220 authors more");
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Ok(url) = env::var("WORKSHARING_POSTGRES_URL").or_else(|_| env::var("DATABASE_URL")) else {
        eprintln!(
            "WORKSHARING_POSTGRES_URL says where the table is to be: postgres://user@localhost/app"
        );
        return ExitCode::from(2);
    };
    match run(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str) -> Result<(), Trouble> {
    let sharing = WorkSharing::from_env()?;
    sharing.install()?;
    let db = Db::connect(url).await?;
    let shown = show(&db, &sharing).await;
    sharing.drain(Duration::from_secs(5)).await?;
    let table = "DROP TABLE worksharing_example_authors";
    db.client.batch_execute(table).await?;
    shown
}
