use worksharing::work_shared;

struct Database;

#[work_shared]
fn argument(n: u32, db: &Database) -> u32 {
    let _ = db;
    n
}

impl Database {
    #[work_shared]
    async fn receiver(&self) -> u32 {
        1
    }
}

#[work_shared]
fn pattern(n: u32, Database: Database) -> u32 {
    n
}

#[work_shared]
fn generic<T>(value: T) -> u32 {
    drop(value);
    1
}

fn main() {}
