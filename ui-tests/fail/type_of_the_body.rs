use worksharing::work_shared;

#[work_shared]
fn plain(n: u32) -> u32 {
    n.to_string()
}

#[work_shared]
async fn asynchronous(n: u32) -> Vec<u32> {
    n
}

#[work_shared]
async fn returned(n: u32) -> Result<u32, String> {
    if n > 1 {
        return n;
    }
    Ok(n)
}

#[work_shared(handle = call)]
fn handled(n: u32) -> u32 {
    "n"
}

fn main() {}
