use std::borrow::Cow;

use worksharing::work_shared;

#[work_shared]
fn text(text: &str) -> &str {
    text
}

#[work_shared]
fn slice(list: &[u8]) -> Option<&[u8]> {
    Some(list)
}

#[work_shared]
fn result<'a>(list: &'a [String]) -> Result<Vec<&'a String>, String> {
    Ok(list.iter().collect())
}

#[work_shared]
fn cow<'a>(text: &'a str) -> Cow<'a, str> {
    text.into()
}

struct View<'a>(&'a str);

#[work_shared]
fn view(text: &str) -> View<'_> {
    View(text)
}

#[work_shared]
async fn constant() -> (u32, &'static str) {
    (1, "a")
}

fn main() {}
