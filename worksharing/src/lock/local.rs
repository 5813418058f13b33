//! stub
use super::*;
/// stub
#[derive(Debug)]
pub struct Local;
impl Lock for Local {
    fn try_lock<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        todo!()
    }
    fn interest<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        todo!()
    }
}
impl Local {
    /// stub
    pub fn new() -> Self {
        Self
    }
}
