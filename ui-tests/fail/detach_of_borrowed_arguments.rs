use std::borrow::Cow;
use std::fmt::Debug;
use std::pin::Pin;

use worksharing::work_shared;

#[derive(Debug)]
struct View<'a>(&'a str);

#[work_shared(detach)]
fn changed(numbers: &mut Vec<u32>) -> u32 {
    numbers.push(1);
    7
}

#[work_shared(detach)]
fn object(shown: &dyn Debug) -> String {
    format!("{shown:?}")
}

#[work_shared(detach)]
fn texts(texts: &[&str]) -> usize {
    texts.len()
}

#[work_shared(detach)]
async fn view(view: &View<'_>) -> usize {
    view.0.len()
}

#[work_shared(detach)]
fn inside(pairs: Vec<(&str, u32)>, text: Cow<'_, str>) -> usize {
    pairs.len() + text.len()
}

#[derive(Debug)]
struct Shop(u32);

impl Shop {
    #[work_shared(detach)]
    fn receiver(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }

    #[work_shared(detach)]
    fn pinned(self: Pin<&mut Self>) -> u32 {
        self.0
    }
}

fn main() {}
