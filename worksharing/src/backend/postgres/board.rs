//! What is computed, in a table beside that of values: see `session/board.rs`.

use super::Server;
use super::session::{Answer, Ask};
use crate::computing::{Board, Notice, Posted};
use crate::{BoxFuture, Error, Key};

impl Board for Server {
    fn publish(&self, notices: Vec<Notice>) {
        self.session.ask(Ask::Publish(notices), |_| ());
    }

    fn withdraw(&self, notice: Notice) {
        self.session.ask(Ask::Withdraw(notice), |_| ());
    }

    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Posted, Error>> {
        let keys = keys.iter().map(Key::lock_key).collect();
        Box::pin(async move {
            match self.session.answer(Ask::Computing(keys), false).await? {
                Answer::Posted(posted) => Ok(posted),
                _ => Ok(Posted::default()),
            }
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.session.answer(Ask::CheckBoard, true).await.map(drop) })
    }
}
