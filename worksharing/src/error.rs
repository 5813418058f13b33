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

    /// What it was [caused by](Self::caused_by), if that is of this type. The [`source`](StdError::source) may be a cause
    /// of it that says the same.
    #[cfg(feature = "redis")]
    pub(crate) fn cause<E: StdError + 'static>(&self) -> Option<&E> {
        self.source.as_deref()?.downcast_ref()
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message and all its causes on one line, for a log.
    pub(crate) fn chain(&self) -> Chain<'_> {
        Chain(self)
    }

    pub(crate) fn setting(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Setting, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }
}

/// The message alone. What caused it is the [`source`](StdError::source), which says the rest.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The kind, the message and all its causes, on one line.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl StdError for Error {
    /// Clients of servers have errors that say what their own source says, too: those are passed over.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let mut source: &(dyn StdError + 'static) = self.source.as_deref()?;
        while let Some(cause) = source.source()
            && cause.to_string() == source.to_string()
        {
            source = cause;
        }
        Some(source)
    }
}

/// An error's message and all its causes, as [`Error::chain`] gives them.
pub(crate) struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refused() -> Error {
        let source = io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens");
        Error::unavailable("postgres at db:5432 does not answer").caused_by(source)
    }

    #[test]
    fn nothing_is_said_twice() {
        assert_eq!(refused().to_string(), "postgres at db:5432 does not answer");
        let chain = "postgres at db:5432 does not answer: nobody listens";
        assert_eq!(format!("{:#}", anyhow::Error::new(refused())), chain);
        assert_eq!(refused().chain().to_string(), chain);
        assert_eq!(format!("{:?}", refused()), format!("Unavailable: {chain}"));
    }

    /// As `redis::RedisError`: what it displays is all that its source displays.
    #[derive(Debug)]
    struct Echo(io::Error);

    impl fmt::Display for Echo {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    impl StdError for Echo {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_cause_that_repeats_its_own_is_passed_over() {
        let error = Error::unavailable("redis was lost").caused_by(Echo(io::Error::other("reset")));
        assert_eq!(
            format!("{:#}", anyhow::Error::new(error)),
            "redis was lost: reset"
        );
    }
}
