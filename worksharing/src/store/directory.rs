//! stub
use super::*;
/// stub
#[derive(Debug)]
pub struct Directory;
impl Store for Directory {
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
impl Directory {
    /// stub
    pub fn new(_: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        todo!()
    }
}
