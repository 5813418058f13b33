//! stub
use super::*;
/// stub
#[derive(Debug)]
pub struct Directory;
impl Lock for Directory {
    fn try_lock<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        todo!()
    }
    fn interest<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        todo!()
    }
}
impl Directory {
    /// stub
    pub fn new(_: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        todo!()
    }
}
