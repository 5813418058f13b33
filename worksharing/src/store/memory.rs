//! stub
use super::*;
/// stub
#[derive(Debug)]
pub struct Memory;
impl Store for Memory {
    fn get<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        todo!()
    }
    fn put<'a>(
        &'a self,
        _: &'a Key,
        _: Bytes,
        _: Duration,
        _: Seen,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        todo!()
    }
    fn replace<'a>(
        &'a self,
        _: &'a Key,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        todo!()
    }
}
impl Memory {
    /// stub
    pub fn new() -> Self {
        Self
    }
}
