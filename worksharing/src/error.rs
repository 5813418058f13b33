use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What went wrong while a runtime was set up, checked, or spoken to. Its text says what was found,
/// what is allowed and what to write.
///
/// Calls themselves ([`Work::run`](crate::Work::run) and annotated functions) never return it: trouble
/// with a server makes them compute.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What kind of trouble an [`Error`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting that cannot be: a bad URL, a zero time to live, a namespace with control characters.
    Setting,
    /// A server or directory that does not answer now. It may answer later.
    Unavailable,
    /// A server that answers, but cannot do what is needed: a standby, a transaction-pooling PgBouncer.
    Unsuitable,
    /// A runtime is installed already.
    AlreadyInstalled,
}

impl Error {
    /// An error of this kind. For those who write a [`Store`](crate::store::Store) or a
    /// [`Lock`](crate::lock::Lock) of their own.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error, caused by `source`.
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn setting(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Setting, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
