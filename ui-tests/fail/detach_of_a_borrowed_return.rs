use worksharing::work_shared;

#[work_shared(detach)]
fn error(text: &str) -> Result<u32, &str> {
    text.parse().map_err(|_| text)
}

#[work_shared(detach)]
async fn lifetime<'a>(text: &'a str) -> Result<u32, std::borrow::Cow<'a, str>> {
    text.parse().map_err(|_| text.into())
}

fn main() {}
