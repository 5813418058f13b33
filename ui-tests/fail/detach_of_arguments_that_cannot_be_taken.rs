use std::cell::Cell;
use std::rc::Rc;

use worksharing::work_shared;

#[derive(Debug)]
struct NotClone(u32);

#[derive(Debug)]
struct View<'a>(&'a str);

#[work_shared(detach)]
fn not_clone(argument: &NotClone) -> u32 {
    argument.0
}

#[work_shared(detach)]
async fn not_clone_in_an_option(argument: Option<&NotClone>) -> u32 {
    argument.map_or(0, |argument| argument.0)
}

#[work_shared(detach)]
fn not_send(argument: Rc<u32>) -> u32 {
    *argument
}

#[work_shared(detach)]
async fn not_send_by_reference(argument: &Rc<u32>) -> u32 {
    **argument
}

#[work_shared(detach)]
async fn not_sync(argument: &Cell<u32>) -> u32 {
    std::future::ready(()).await;
    argument.get()
}

#[work_shared(detach)]
fn hidden_lifetime(argument: View) -> usize {
    argument.0.len()
}

#[work_shared(detach, skip_all)]
fn parameter<T: Into<u32>>(argument: T) -> u32 {
    argument.into()
}

impl NotClone {
    #[work_shared(detach)]
    async fn receiver(&self) -> u32 {
        self.0
    }
}

fn main() {}
